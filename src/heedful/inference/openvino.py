"""Networks compiled by OpenVINO: the same mathematics, and the same 8-bit integers, in fewer and larger steps.

The library is an extra.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heedful.errors import NotInstalledError, UnsupportedError
from heedful.inference.comparison import first_line
from heedful.inference.engine import CompiledNetwork, Examples, Plain
from heedful.inference.workers import Plan

FILE = "model.xml"

SMALL = 1024
"""Numbers that are copied sooner than the engine is told where they stand."""


class OpenVino(CompiledNetwork):
    """A network as OpenVINO computes it."""

    name = "openvino"
    title = "OpenVINO"
    side_by_side = True

    def __init__(
        self, network: nn.Module, examples: Examples, *, fingerprint: str | None, few_rows: bool = False
    ) -> None:
        self._library = _library()
        self._lock = threading.Lock()
        super().__init__(network, examples, fingerprint=fingerprint, few_rows=few_rows)

    def _version(self) -> str:
        return str(self._library.get_version())

    def _make(self, network: nn.Module, examples: Examples, folder: Path) -> None:
        # What is converted is only written down: the constants of what a tracer makes may be tensors that are gone.
        network.eval()
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numbers that a tracer takes to be fixed: the comparison tells
                model = self._library.convert_model(Plain(network), example_input=examples[0])
                self._library.save_model(model, folder / FILE, compress_to_fp16=False)
        except Exception as error:
            raise UnsupportedError(f"OpenVINO cannot compute this network: {first_line(error)}") from error

    def _read(self, folder: Path) -> None:
        self._model = self._library.Core().read_model(folder / FILE)
        self._compiled: dict[Plan, Any] = {}
        self._own = threading.local()

    def _computing(self, plan: Plan) -> Callable[[Sequence[Tensor]], tuple[Tensor, ...]]:
        with self._lock:
            if plan not in self._compiled:
                self._compiled[plan] = self._library.Core().compile_model(
                    self._model,
                    "CPU",
                    {
                        "INFERENCE_NUM_THREADS": plan.workers * plan.threads,
                        "NUM_STREAMS": plan.workers,
                        "INFERENCE_PRECISION_HINT": "f32",
                        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # no rounding of inputs that the network does not do
                    },
                )
            compiled = self._compiled[plan]

        def compute(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
            requests = self._own.__dict__.setdefault("requests", {})
            if plan not in requests:
                requests[plan] = _Request(self._library, compiled)
            outputs: tuple[Tensor, ...] = requests[plan].compute(inputs)
            return outputs

        return compute


class _Request:
    """Computes one batch at a time; what stands in the memory that it looked at before, it is not given again."""

    def __init__(self, library: Any, compiled: Any) -> None:
        self._tensor = library.Tensor
        self._request = compiled.create_infer_request()
        self._num_outputs = len(compiled.outputs)
        self._given: dict[int, Tensor] = {}  # held, so that nothing else is put into their memory

    def compute(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        for number, tensor in enumerate(inputs):
            before, is_small = self._given.get(number), tensor.numel() <= SMALL
            if before is not None and before.shape == tensor.shape:
                if before.data_ptr() == tensor.data_ptr():
                    continue
                if is_small:
                    before.copy_(tensor)
                    continue
            # Of few numbers a copy of its own, into which the next ones go.
            given = tensor.clone(memory_format=torch.contiguous_format) if is_small else tensor.contiguous()
            self._given[number] = given
            self._request.set_input_tensor(number, self._tensor(given.numpy(), shared_memory=True))
        self._request.infer(share_outputs=True)
        outputs = (self._request.get_output_tensor(number).data for number in range(self._num_outputs))
        return tuple(map(torch.from_numpy, outputs))


def is_installed() -> bool:
    """Whether OpenVINO can be had."""
    return importlib.util.find_spec("openvino") is not None


def _library() -> Any:
    # On import OpenVINO reports to its makers over the network, unless the package that does so is not there.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise NotInstalledError(
            "OpenVINO is not installed", remedy="pip install 'heedful[openvino]', or leave the engine out."
        ) from error
