"""The one trainer: it knows losses, steps and states, and no job."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from heedful.data import ExampleStore, token_budget_batches
from heedful.errors import JobError
from heedful.evaluation import Evaluation, measure
from heedful.tasks import Batch, Task
from heedful.training.interruption import StopRequest
from heedful.training.optimisation import Optimizer, build_average, build_optimizer
from heedful.training.schedule import rate_factor
from heedful.training.settings import TrainingSettings
from heedful.training.tuning import prepare

Record = dict[str, Any]
"""One line of metrics.jsonl."""


class Observer(Protocol):
    """Whoever follows a run: the log, the progress bar, a tracker."""

    def on_step(self, state: TrainingState) -> None:
        """After each optimiser step."""

    def on_evaluation(self, state: TrainingState, evaluation: Evaluation, *, best: bool) -> None:
        """After each evaluation on the validation data."""


@dataclass
class TrainingState:
    """Where a run stands."""

    total_steps: int
    step: int = 0
    epoch: float = 0.0
    loss: float = math.nan
    """Mean training loss a target, of the last step."""
    learning_rate: float = 0.0
    tokens: int = 0
    """Real tokens seen."""
    cells: int = 0
    """Real tokens and padding seen."""
    seconds: float = 0.0
    best_value: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0

    @property
    def padding_share(self) -> float:
        """Share of padding among all that was computed, in [0, 1]."""
        return 1 - self.tokens / self.cells if self.cells else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second of training, evaluations left out."""
        return self.tokens / self.seconds if self.seconds else 0.0


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for what is random in making an epoch's batches, the same whether or not the run was interrupted."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


class _Epoch(NamedTuple):
    number: int
    seed: int
    batches: list[NDArray[np.int64]]
    """Rows of the examples."""


@dataclass(frozen=True)
class Trainer:
    """Trains ``task`` on ``examples`` and keeps the best state.

    The task's network is prepared at once: what is not to learn is frozen, adapters are put in.
    ``save`` is called with ``"best"`` or ``"last"`` while the network holds the weights to be kept.
    """

    task: Task[Any]
    examples: ExampleStore
    validation: ExampleStore | None
    settings: TrainingSettings
    seed: int
    save: Callable[[str], None]
    observers: Sequence[Observer] = ()

    def __post_init__(self) -> None:
        prepare(self.task.network, self.settings, seed=self.seed)

    def run(self, stop: StopRequest) -> TrainingState:
        """Train to the end, to the patience's end, or until ``stop`` is asked for.

        The last state is saved in every case; it is the best one where there is no validation data.

        Raises:
            JobError: the loss is no longer finite, or the disk is full.
            StoppedError: ``stop`` was asked for; the last state is saved.
        """
        settings = self.settings
        torch.manual_seed(self.seed)
        epochs = self._epochs()
        first = next(epochs)
        steps_per_epoch = math.ceil(len(first.batches) / settings.accumulation)
        total = max(1, round(steps_per_epoch * settings.epochs))
        state = TrainingState(total_steps=min(total, settings.max_steps or total))
        optimizer = build_optimizer(self.task.network, settings)
        average = build_average(self.task.network, settings)
        evaluate_every = max(1, round(steps_per_epoch * settings.evaluate_every))
        started = time.perf_counter()
        try:
            for position, group in self._groups(itertools.chain([first], epochs)):
                self._step(state, optimizer, group)
                average.update()
                state.epoch = position
                state.seconds += time.perf_counter() - started
                for observer in self.observers:
                    observer.on_step(state)
                finished = state.step >= state.total_steps
                if state.step % evaluate_every == 0 or finished:
                    average.checkpoint()
                    if self.validation:
                        with average.applied():
                            self._evaluate(state, self.validation)
                    finished = finished or state.evaluations_since_best >= (settings.patience or math.inf)
                if finished or stop.requested:
                    break
                started = time.perf_counter()
        finally:
            # On failure too: hours of training are not lost to a full disk elsewhere or a bad batch.
            with average.applied():
                self._keep_last(state)
        stop.raise_if_requested()
        return state

    def _epochs(self) -> Iterator[_Epoch]:
        """One after the other without end, each with batches of its own."""
        lengths = None
        for number in itertools.count():
            seed = epoch_seed(self.seed, number)
            if lengths is None or self.task.lengths_vary:
                lengths = self.task.lengths(self.examples, seed=seed)
            batches = token_budget_batches(lengths, self.settings.tokens_per_batch, seed=self.seed, epoch=number)
            yield _Epoch(number, seed, batches)

    def _groups(self, epochs: Iterable[_Epoch]) -> Iterator[tuple[float, list[Batch]]]:
        """Yield (epochs done after this step, batches of one optimiser step)."""
        for epoch in epochs:
            for start in range(0, len(epoch.batches), self.settings.accumulation):
                chosen = epoch.batches[start : start + self.settings.accumulation]
                group = [self.task.collate(self.examples.take(rows), seed=epoch.seed) for rows in chosen]
                yield epoch.number + (start + len(chosen)) / len(epoch.batches), group

    def _step(self, state: TrainingState, optimizer: Optimizer, group: list[Batch]) -> None:
        settings, network, step = self.settings, self.task.network, state.step + 1
        network.train()
        targets = sum(batch.num_targets for batch in group) or 1.0  # where all are out of scope
        total = 0.0
        for batch in group:
            loss = self.task.loss(batch) / targets
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        if not (math.isfinite(total) and math.isfinite(float(norm))):
            raise JobError(
                f"the loss or its gradient is no longer finite at step {step} (loss {total})",
                remedy="Lower training.learning_rate; the best state so far is kept.",
            )
        warmup = settings.warmup_steps(state.total_steps)
        factor = rate_factor(settings.schedule, step, warmup=warmup, total=state.total_steps)
        state.learning_rate = settings.learning_rate * factor
        for parameters in optimizer.param_groups:
            parameters["lr"] = parameters["initial_lr"] * factor
        optimizer.step()
        optimizer.zero_grad()
        state.step = step
        state.loss = total
        state.tokens += sum(batch.num_tokens for batch in group)
        state.cells += sum(batch.num_cells for batch in group)

    def _evaluate(self, state: TrainingState, validation: ExampleStore) -> None:
        evaluation = measure(self.task, validation, quick=True)
        name = self.settings.select_by or self.task.main_metric
        value = evaluation.metrics[name].value
        sign = 1 if self.task.metrics[name].direction == "higher" else -1
        gain = math.inf if state.best_value is None else sign * (value - state.best_value)
        state.evaluations_since_best = 0 if gain > 0 else state.evaluations_since_best + 1
        best = gain >= 0  # of equals, the later one has seen more
        if best:
            state.best_value, state.best_step = value, state.step
            self.save("best")
        for observer in self.observers:
            observer.on_evaluation(state, evaluation, best=best)

    def _keep_last(self, state: TrainingState) -> None:
        if state.step == 0:
            return
        self.save("last")
        if state.best_value is None:
            self.save("best")
