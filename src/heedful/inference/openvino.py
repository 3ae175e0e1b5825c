"""Networks compiled by OpenVINO: the same mathematics, and the same 8-bit integers, in fewer and larger steps.

The library is an extra, and what it makes of a network is kept in a folder of the user's own, see
:func:`cache_folder`; nothing of it is ever read from a model's folder.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heedful.errors import UnsupportedError
from heedful.inference.comparison import apart, first_line
from heedful.inference.workers import Plan
from heedful.nn.int8 import Int8Linear

TOLERANCE = {False: 1e-4, True: 0.1}
"""How far outputs may be from the network's own, relative, by the norm: in float32, and on 8-bit integers, where
a value on the edge between two of them may go either way."""

SMALL = 1024
"""Numbers that are copied sooner than the engine is told where they stand."""


def cache_folder() -> Path:
    """Where compiled networks are kept: ``HEEDFUL_CACHE``, or ``heedful`` in the user's folder of caches."""
    own = os.environ.get("HEEDFUL_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heedful"


class OpenVino:
    """A network as OpenVINO computes it, on processors."""

    name = "openvino"

    def __init__(self, network: nn.Module, examples: Sequence[tuple[Tensor, ...]], *, fingerprint: str | None) -> None:
        """
        Args:
            network: in float32, on the processor, its linear maps perhaps rounded.
            examples: inputs of several shapes. A tracer follows the first of them; by all of them what was made is
                compared with the network.
            fingerprint: of the network's weights, under which it is kept; not kept unless given.

        Raises:
            UnsupportedError: OpenVINO is not installed, cannot compute the network, or computes something else.
        """
        self._library = _library()
        self._rounded = any(isinstance(module, Int8Linear) for module in network.modules())
        self._compiled: dict[Plan, Any] = {}
        self._lock = threading.Lock()
        self._own = threading.local()
        self._num_inputs = len(examples[0])
        kept = None if fingerprint is None else self._kept(network, fingerprint)
        self._model = self._read(kept)
        if self._model is not None and self._apart(network, examples) is None:
            return
        self._compiled, self._own = {}, threading.local()  # of what was kept and is no good
        self._model = self._converted(network, examples[0])
        if why := self._apart(network, examples):
            raise UnsupportedError(why)
        if kept is not None:
            self._keep(kept)

    def network(self, plan: Plan) -> Callable[..., Any]:
        """What computes a batch for one of the plan's workers: the network's inputs to its output, or outputs.

        They stand in memory of the engine, until the same thread computes the next batch.
        """
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

        def compute(*inputs: Tensor | None) -> Tensor | tuple[Tensor, ...]:
            requests = self._own.__dict__.setdefault("requests", {})
            if plan not in requests:
                requests[plan] = _Request(self._library, compiled)
            given = [torch.zeros_like(inputs[0]) if one is None else one for one in inputs]  # type: ignore[arg-type]
            outputs: tuple[Tensor, ...] = requests[plan].compute(given[: self._num_inputs])
            return outputs if len(outputs) > 1 else outputs[0]

        return compute

    def _converted(self, network: nn.Module, example: tuple[Tensor, ...]) -> Any:
        network.eval()
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numbers that a tracer takes to be fixed: the comparison tells
                return self._on_its_own(self._library.convert_model(_Plain(network), example_input=example))
        except Exception as error:
            raise UnsupportedError(f"OpenVINO cannot compute this network: {first_line(error)}") from error

    def _on_its_own(self, model: Any) -> Any:
        """The same, written down and read again: the constants of what a tracer makes may be tensors that are gone."""
        core = self._library.Core()
        core.set_property({"ENABLE_MMAP": False})
        with tempfile.TemporaryDirectory() as folder:
            self._library.save_model(model, Path(folder) / "model.xml", compress_to_fp16=False)
            return core.read_model(Path(folder) / "model.xml")

    @torch.inference_mode()
    def _apart(self, network: nn.Module, examples: Sequence[tuple[Tensor, ...]]) -> str | None:
        """What is wrong with what was made, if anything is."""
        compute = self.network(Plan(1, torch.get_num_threads()))
        for example in examples:
            expected = _together(network(*example))
            try:
                found = _together(compute(*example))
            except Exception as error:
                return f"OpenVINO fails on inputs of shape {tuple(example[0].shape)}: {first_line(error)}"
            distance = apart(found, expected)
            if not distance <= TOLERANCE[self._rounded]:
                return f"OpenVINO gives other numbers than the network: {distance:.1e} of their size apart"
        return None

    # What was made before

    def _kept(self, network: nn.Module, fingerprint: str) -> Path:
        versions = (importlib.metadata.version("heedful"), self._library.get_version(), torch.__version__)
        made = (fingerprint, str(network), *versions)
        return cache_folder() / self.name / hashlib.sha256("\n".join(made).encode()).hexdigest()

    def _read(self, folder: Path | None) -> Any:
        if folder is None or not (folder / "model.xml").is_file():
            return None
        try:
            return self._library.Core().read_model(folder / "model.xml")
        except RuntimeError:  # damaged: it is made anew
            return None

    def _keep(self, folder: Path) -> None:
        """As a whole or not at all; a folder that cannot be written costs time, and no more."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as staging:
                made = Path(staging) / "made"
                made.mkdir()
                self._library.save_model(self._model, made / "model.xml", compress_to_fp16=False)
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
        except (OSError, RuntimeError):
            return


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
            given = tensor.contiguous()
            self._given[number] = given = given.clone() if is_small else given
            self._request.set_input_tensor(number, self._tensor(given.numpy(), shared_memory=True))
        self._request.infer(share_outputs=True)
        outputs = (self._request.get_output_tensor(number).data for number in range(self._num_outputs))
        return tuple(map(torch.from_numpy, outputs))


class _Plain(nn.Module):
    """A network whose tracer sees as many inputs as are given, and no optional ones."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        return self.network(*inputs)


def _together(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """All numbers that came out."""
    return torch.cat([each.flatten() for each in ([outputs] if isinstance(outputs, Tensor) else outputs)])


def is_installed() -> bool:
    """Whether OpenVINO can be had."""
    return importlib.util.find_spec("openvino") is not None


def _library() -> Any:
    # On import OpenVINO reports to its makers over the network, unless the package that does so is not there.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise UnsupportedError(
            "OpenVINO is not installed", remedy="pip install 'heedful[openvino]', or leave the engine out."
        ) from error
