"""What a job offers: to the user ``predict`` and ``save``, to the one trainer ``loss`` and a target count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heedful.data import Columns, Example, ExampleReader, ExampleStore, OnBadRow
from heedful.inference import Compile, Workers
from heedful.metrics import ClassScores, Metric, MetricValue, Statistics
from heedful.tasks.own_module import ModuleSpec
from heedful.text import Tokenizer


class Batch(Protocol):
    """Tensors of a few examples, and what they weigh."""

    @property
    def num_tokens(self) -> int:
        """Real tokens."""
        ...

    @property
    def num_cells(self) -> int:
        """Real tokens and padding."""
        ...

    @property
    def num_targets(self) -> float:
        """What the sum of the losses is divided by."""
        ...


B = TypeVar("B", bound=Batch)


class Engine(Protocol):
    """What computes the network of a task, or parts of it; each task knows what it can."""

    @property
    def name(self) -> str:
        """Of the library."""
        ...


@dataclass(frozen=True)
class Assessment:
    """How well a task did on labelled examples. C classes."""

    metrics: dict[str, MetricValue]
    num_examples: int
    statistics: Statistics[Any]
    """What each example adds to the metrics, so that two tasks can be compared."""
    classes: tuple[str, ...] = ()
    per_class: tuple[ClassScores, ...] = ()
    confusion: NDArray[np.integer[Any]] | None = None
    """(C, C), row = the true class, column = the predicted one."""
    notes: tuple[str, ...] = ()
    extra: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    """What needs no learning reaches: its name -> metric -> value."""


@dataclass
class Tally:
    """What answering has cost so far; whoever hands one in can follow the work batch by batch."""

    total: int | None = None
    """Texts in all, where that is known."""
    texts: int = 0
    tokens: int = 0
    """Real tokens."""
    cells: int = 0
    """Real tokens and padding."""
    written: int = 0
    """Tokens that beams wrote, on the way to the best of them."""

    def add(self, *, texts: int = 0, tokens: int = 0, cells: int = 0, written: int = 0) -> None:
        """Count one batch."""
        self.texts += texts
        self.tokens += tokens
        self.cells += cells
        self.written += written

    def restart(self) -> None:
        """Count anew, for another pass over the texts."""
        self.texts = self.tokens = self.cells = self.written = 0

    @property
    def padding_share(self) -> float:
        """Share of padding among all that was computed, in [0, 1]."""
        return 1 - self.tokens / self.cells if self.cells else 0.0


class Task(ABC, Generic[B]):
    """A network, its tokenizer and what the job needs."""

    job: ClassVar[str]
    network: nn.Module
    """Everything that is trained and saved, as one module."""
    tokenizer: Tokenizer
    card: Any
    """What ``task.json`` holds; ``results`` are figures for the model card."""
    origin: Mapping[str, Any] | None = None
    """The family and config of the foreign checkpoint that this began as."""
    module: ModuleSpec | None = None
    """How a module of the user's own is made again."""
    source: str = "a model made in this process"
    """What it was loaded from, for people."""
    revision: str | None = None
    """The commit of the Hub that the weights come from."""
    notes: tuple[str, ...] = ()
    """What its user may want to know about how it was made."""
    workers: Workers = Workers()
    """How many batches it computes at a time."""
    engine: Engine | None = None
    """What computes its network for answers, if PyTorch does not."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What it answers with, in a few words."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the network is."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says of the model."""

    @property
    @abstractmethod
    def metrics(self) -> Mapping[str, Metric[Any]]:
        """The metrics of the job by name."""

    @property
    @abstractmethod
    def main_metric(self) -> str:
        """The metric that chooses the best state of a run, unless the recipe names another."""

    @abstractmethod
    def check(self, store: ExampleStore, *, name: str) -> None:
        """Refuse labelled examples that cannot be learnt from or judged, before hours are spent on them.

        Args:
            name: what the examples are called in the message.

        Raises:
            RequestError: there are none, or one of them does not fit this task.
        """

    @abstractmethod
    def lengths(self, store: ExampleStore, *, seed: int | None = None) -> NDArray[np.int32]:
        """Tokens of each example as the network will see it, int32 (N,), or (N, P) where P parts are padded apart.

        Args:
            seed: that of a training epoch, if it is for one, see :meth:`collate`.
        """

    @property
    def lengths_vary(self) -> bool:
        """Whether the lengths change with the seed."""
        return False

    @abstractmethod
    def collate(self, examples: Sequence[Example], *, seed: int | None = None) -> B:
        """Make labelled examples into a batch on the network's device.

        Args:
            seed: of what is random in the batches of a training epoch; without one nothing is.
        """

    @abstractmethod
    def loss(self, batch: B) -> Tensor:
        """The sum of the losses over the batch's targets, a scalar with gradient."""

    @abstractmethod
    def read(
        self, source: str | Path, *, columns: Columns | None = None, on_bad_row: OnBadRow = OnBadRow.ERROR
    ) -> ExampleReader:
        """Labelled examples of a source, by the columns of the training data unless others are given."""

    @abstractmethod
    def assess(self, store: ExampleStore, *, resamples: int = 1000, tally: Tally | None = None) -> Assessment:
        """Answer the labelled examples of ``store`` and compute the metrics, with intervals by ``resamples``."""

    def validate(self, store: ExampleStore) -> Assessment:
        """A quick judgement during training, without intervals."""
        return self.assess(store, resamples=0)

    @abstractmethod
    def compiled(self, make: Compile) -> Engine:
        """What may compute in the network's place.

        Args:
            make: a compiled form of a network, by inputs of several shapes.
        """

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write a model folder that :func:`heedful.load` reads; what was there stays whole until the new is."""
