"""Networks as ONNX files, which engines of many languages and machines read."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heedful.errors import UnsupportedError
from heedful.inference.comparison import apart, first_line, quiet

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""How far ONNX Runtime's outputs may be from the network's own, relative, by the norm; 1e-6 is usual."""


def write_onnx(
    network: nn.Module,
    inputs: Mapping[str, Mapping[int, str]],
    output: str,
    examples: Sequence[tuple[Tensor, ...]],
    path: Path,
) -> None:
    """Write a network down, and compare what ONNX Runtime makes of the file with the network.

    Args:
        network: in float32, on the processor.
        inputs: the name of each input, and of those of its dimensions that may have any size.
        output: its name.
        examples: inputs of several shapes; the network is written down by the first.
        path: of the file; weights of more than 2 GB stand in a second one beside it.

    Raises:
        UnsupportedError: a package is missing, the network cannot be written down, or the file gives other numbers.
    """
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise UnsupportedError(
            f"writing ONNX takes {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            remedy="pip install 'heedful[onnx]'",
        )
    network.eval()
    try:
        with torch.no_grad(), quiet("torch.onnx"):
            program: Any = torch.onnx.export(
                network,
                examples[0],
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes=tuple(dict(sizes) for sizes in inputs.values()),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        raise UnsupportedError(f"PyTorch cannot write this network as ONNX: {first_line(error)}") from error
    program.save(path)
    _compare(network, list(inputs), examples, path)


@torch.inference_mode()
def _compare(network: nn.Module, names: Sequence[str], examples: Sequence[tuple[Tensor, ...]], path: Path) -> None:
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for example in examples:
        expected = network(*example)
        (found,) = session.run(None, {name: one.numpy() for name, one in zip(names, example, strict=True)})
        distance = apart(torch.from_numpy(found), expected)
        if not distance <= TOLERANCE:
            raise UnsupportedError(
                f"ONNX Runtime gives other numbers than the network for inputs of shape {tuple(example[0].shape)}: "
                f"{distance:.1e} of their size apart"
            )
