"""What the compiled forms of a network have in common: each is compared with the network, and kept for the next time.

Nothing compiled is ever read from a model's folder, see :mod:`heedful.inference.cache`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from heedful.errors import UnsupportedError
from heedful.inference.cache import cache_folder, is_own, keep
from heedful.inference.comparison import apart, first_line
from heedful.inference.workers import Plan
from heedful.nn.int8 import Int8Linear

TOLERANCE = {False: 1e-4, True: 0.1}
"""How far outputs may be from the network's own, relative, by the norm: in float32, and on 8-bit integers, where
a value on the edge between two of them may go either way."""
Examples = Sequence[tuple[Tensor, ...]]
"""Inputs of a network, of several shapes."""


class CompiledNetwork(ABC):
    """A network as another engine computes it, on processors."""

    name: ClassVar[str]
    title: ClassVar[str]
    """What people call the engine."""
    side_by_side: ClassVar[bool]
    """Whether several threads compute at a time."""

    def __init__(
        self, network: nn.Module, examples: Examples, *, fingerprint: str | None, few_rows: bool = False
    ) -> None:
        """
        Args:
            network: in float32, on the processor, its linear maps perhaps rounded.
            examples: inputs of several shapes. The network is written down by the first of them; by all of them what
                was made is compared with it.
            fingerprint: of the network's weights, under which it is kept; not kept unless given.
            few_rows: whether batches of very few tokens are as usual as others, so that an engine may have a form for
                them. A batch has as many rows as its first input has numbers.

        Raises:
            UnsupportedError: the engine is not installed, cannot compute the network, or computes something else.
        """
        self._num_inputs = len(examples[0])
        self._few_rows = few_rows
        self._rounded = any(isinstance(module, Int8Linear) for module in network.modules())
        kept = None if fingerprint is None else self._kept(network, examples, fingerprint)
        if kept is not None and is_own(kept) and self._wrong(kept, network, examples) is None:
            return
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # where what is in use cannot go
            made = Path(folder) / "made"
            made.mkdir()
            self._make(network, examples, made)
            if why := self._wrong(made, network, examples):
                raise UnsupportedError(why)
            if kept is not None:
                keep(made, kept)

    def network(self, plan: Plan) -> Callable[..., Any]:
        """What computes a batch for one of the plan's workers: the network's inputs to its output, or outputs.

        They may stand in memory of the engine, until the same thread computes the next batch.
        """
        compute = self._computing(plan)

        def call(*inputs: Tensor | None) -> Tensor | tuple[Tensor, ...]:
            given = [torch.zeros_like(inputs[0]) if one is None else one for one in inputs]  # type: ignore[arg-type]
            outputs = compute(given[: self._num_inputs])
            return outputs if len(outputs) > 1 else outputs[0]

        return call

    # What an engine does in its own way

    @abstractmethod
    def _version(self) -> str:
        """Of all that what is made depends on, besides the network."""

    @abstractmethod
    def _make(self, network: nn.Module, examples: Examples, folder: Path) -> None:
        """Write into an empty folder what computes the network.

        Raises:
            UnsupportedError: the engine cannot.
        """

    @abstractmethod
    def _read(self, folder: Path) -> None:
        """Compute by what was made; the folder may be gone afterwards. A RuntimeError where it cannot be read."""

    @abstractmethod
    def _computing(self, plan: Plan) -> Callable[[Sequence[Tensor]], tuple[Tensor, ...]]:
        """What computes all outputs, for one of the plan's workers."""

    # What all of them have in common

    @torch.inference_mode()
    def _wrong(self, folder: Path, network: nn.Module, examples: Examples) -> str | None:
        """Compute by what stands in a folder; what is wrong with it, if anything is."""
        try:
            self._read(folder)
        except RuntimeError as error:
            return f"{self.title} cannot read what it made: {first_line(error)}"
        network.eval()
        compute = self.network(Plan(1, torch.get_num_threads()))
        for example in examples:
            expected = _each(network(*example))
            try:
                found = _each(compute(*example))
            except Exception as error:
                return f"{self.title} fails on inputs of shape {tuple(example[0].shape)}: {first_line(error)}"
            if [one.shape for one in found] != [one.shape for one in expected]:
                return f"{self.title} gives outputs of other shapes than the network"
            distance = apart(_together(found), _together(expected))
            if not distance <= TOLERANCE[self._rounded]:
                return f"{self.title} gives other numbers than the network: {distance:.1e} of their size apart"
        return None

    def _kept(self, network: nn.Module, examples: Examples, fingerprint: str) -> Path:
        shapes = [[tuple(one.shape) for one in example] for example in examples]
        versions = (importlib.metadata.version("heedful"), torch.__version__, self._version())
        made = (fingerprint, str(network), str(shapes), *versions)
        return cache_folder() / self.name / hashlib.sha256("\n".join(made).encode()).hexdigest()


class Compile(Protocol):
    """Makes a compiled form of a network, by inputs of several shapes; see :class:`CompiledNetwork`."""

    def __call__(self, network: nn.Module, examples: Examples, *, few_rows: bool = False) -> CompiledNetwork: ...


class Plain(nn.Module):
    """A network that is followed with as many inputs as are given, and no optional ones."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        return self.network(*inputs)


def _each(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def _together(outputs: tuple[Tensor, ...]) -> Tensor:
    """All numbers that came out."""
    return torch.cat([each.flatten() for each in outputs])
