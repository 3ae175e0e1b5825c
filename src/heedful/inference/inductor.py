"""Networks compiled ahead of time by Inductor, the compiler within PyTorch, into a library of machine code."""

from __future__ import annotations

import importlib
import logging
import platform
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heedful.errors import NotInstalledError, UnsupportedError
from heedful.inference.comparison import first_line, quiet
from heedful.inference.engine import CompiledNetwork, Examples, Plain
from heedful.inference.workers import Plan
from heedful.nn.int8 import is_rounded

FEW_ROWS = 4
"""Rows that loops of the compiler multiply sooner than a library: to call it takes longer than such a product."""
MANY, FEW = "network.so", "few_rows.so"
OPTIONS = {
    "cpp.dynamic_threads": True,  # as many as whoever calls may use
    "cpp.vec_isa_ok": True,  # what the processor has, the compiler is taken to know: to try takes a minute or fails
    "compile_threads": 1,  # there is one file to compile, and no other process is to be started for it
}
log = logging.getLogger(__name__)


class Inductor(CompiledNetwork):
    """A network as Inductor computes it; to compile takes a minute or more, and a C++ compiler."""

    name = "inductor"
    title = "Inductor"
    side_by_side = False  # its loader holds Python's lock while it computes: github.com/pytorch/pytorch/issues/197516

    def __init__(
        self, network: nn.Module, examples: Examples, *, fingerprint: str | None, few_rows: bool = False
    ) -> None:
        self._shapes = _shapes(examples)
        super().__init__(network, examples, fingerprint=fingerprint, few_rows=few_rows)

    def _version(self) -> str:
        # The library is made for this very processor, and folders of caches may be shared by machines.
        knows: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in all versions of PyTorch
        return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {sorted(knows.items())} {OPTIONS}"

    @property
    def _files(self) -> tuple[str, ...]:
        return (MANY, FEW) if self._few_rows else (MANY,)

    def _make(self, network: nn.Module, examples: Examples, folder: Path) -> None:
        if self._rounded:
            raise UnsupportedError("Inductor multiplies no 8-bit integers; PyTorch and OpenVINO do")
        # Weights lie as the library wants them; those of 8-bit integers would no longer be integers.
        options = {**OPTIONS, "freezing": not is_rounded(network)}
        _look_for_compiler()
        log.warning("heedful: compiling by Inductor, once for this network: it takes a minute or more")
        dynamic = torch.export.Dim.DYNAMIC
        sizes = tuple({place: dynamic for place, size in enumerate(one) if size is None} for one in self._shapes)
        inductor: Any = importlib.import_module("torch._inductor")
        network.eval()
        try:
            with torch.no_grad(), quiet("torch"), inductor.utils.fresh_cache(dir=str(folder)):
                program = torch.export.export(Plain(network), examples[0], dynamic_shapes=(sizes,))
                for file in self._files:
                    if file == FEW:
                        program, options = program.run_decompositions(LOOPS), OPTIONS
                    made = inductor.aot_compile(program.module(), examples[0], options=options)
                    Path(str(made)).rename(folder / file)
        except Exception as error:
            raise UnsupportedError(f"Inductor cannot compute this network: {first_line(error)}") from error

    def _read(self, folder: Path) -> None:
        # What torch.export has for this, a package, is unpacked for each process, and left behind by one that dies.
        libraries = [torch._C._aoti.AOTIModelContainerRunnerCpu(str(folder / file), 1) for file in self._files]
        self._many, self._few = libraries[0].run, libraries[-1].run
        self._checked: list[torch.Size] = []

    def _computing(self, _: Plan) -> Callable[[Sequence[Tensor]], tuple[Tensor, ...]]:
        def compute(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
            shapes = [one.shape for one in inputs]
            if shapes != self._checked:  # those of the step before, most of the time
                self._check(shapes)
                self._checked = shapes
            run = self._few if inputs[0].numel() <= FEW_ROWS else self._many
            return tuple(run([one.contiguous() for one in inputs]))

        return compute

    def _check(self, shapes: Sequence[torch.Size]) -> None:
        """Refuse what was not compiled: the library would read behind the numbers."""
        for given, shape in zip(shapes, self._shapes, strict=True):
            if any(size not in (None, one) for size, one in zip(shape, given, strict=True)):
                raise UnsupportedError(f"Inductor compiled this network for {shape}, not for {tuple(given)}")


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(..., I) -> (..., O), each output a sum by itself, a row of the weight being read once for all rows."""
    rows = x.flatten(0, -2).contiguous()
    rows = rows.as_strided(rows.shape, (rows.shape[1], 1))  # else what they are made of would be made for each output
    product: Tensor = (weight[:, None] * rows).sum(-1).T.view(*x.shape[:-1], len(weight))
    return product if bias is None else product + bias


def _matmul(x: Tensor, y: Tensor) -> Tensor:
    """(..., T, I) and (..., I, O) -> (..., T, O)."""
    if x.dim() < 2 or y.dim() < 2:
        return NotImplemented  # type: ignore[no-any-return]  # which leaves it as it is
    product: Tensor = (x[..., None, :] * y.transpose(-1, -2)[..., None, :, :]).sum(-1)
    return product


LOOPS: dict[Any, Callable[..., Tensor]] = {
    torch.ops.aten.linear.default: _linear,
    torch.ops.aten.matmul.default: _matmul,
}
"""Products as sums, which Inductor makes into loops together with what is around them."""


def _shapes(examples: Examples) -> list[tuple[int | None, ...]]:
    """Of each input; None where examples differ, and any size will do."""
    return [
        tuple(size if len({size, *others}) == 1 else None for size, *others in zip(*shapes, strict=True))
        for shapes in ([one.shape for one in several] for several in zip(*examples, strict=True))
    ]


def _look_for_compiler() -> None:
    names = importlib.import_module("torch._inductor.config").cpp.cxx
    if not any(name and shutil.which(name) for name in names):
        raise NotInstalledError(
            "Inductor takes a C++ compiler, and none is installed",
            remedy="On Debian and Ubuntu: sudo apt install g++. Or choose another engine.",
        )
