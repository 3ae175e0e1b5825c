"""The trainer: what a step does, which states are kept, and when it ends."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from heedful.checkpoint import writing
from heedful.data import ExampleStore, token_budget_batches
from heedful.errors import JobError, StoppedError
from heedful.evaluation import Evaluation, measure
from heedful.metrics import MetricValue
from heedful.tasks import TextClassifier
from heedful.training import Trainer, TrainingSettings, TrainingState, trainer
from heedful.training.interruption import StopRequest
from heedful.training.schedule import rate_factor
from heedful.training.trainer import epoch_seed

Rows = tuple[dict[str, Any], ...]
Stores = Callable[[Iterable[dict[str, Any]]], ExampleStore]
Untrained = Callable[..., TextClassifier]
Weights = dict[str, Tensor]

EXACT = {"label_smoothing": 0.1, "token_dropout": 0, "subword_dropout": 0, "mixup": 0}
"""Nothing random in the loss."""


@dataclass
class Recorder:
    """Follows a run, keeps what it saves, and can disturb it."""

    task: TextClassifier
    disturb: Callable[[TrainingState], None] = lambda state: None
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    evaluated: list[tuple[int, bool]] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    kept: dict[str, Weights] = field(default_factory=dict)

    def on_step(self, state: TrainingState) -> None:
        self.losses.append(state.loss)
        self.rates.append(state.learning_rate)
        self.epochs.append(state.epoch)
        self.disturb(state)

    def on_evaluation(self, state: TrainingState, evaluation: Evaluation, *, best: bool) -> None:
        self.evaluated.append((state.step, best))

    def save(self, which: str) -> None:
        self.saved.append(which)
        self.kept[which] = weights(self.task)


def weights(task: TextClassifier) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in task.network.state_dict().items()}


def distance(one: Weights, two: Weights) -> float:
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def fit(
    task: TextClassifier,
    examples: ExampleStore,
    validation: ExampleStore | None = None,
    *,
    recorder: Recorder | None = None,
    seed: int = 1,
    **settings: Any,
) -> tuple[TrainingState, Recorder]:
    recorder = recorder or Recorder(task)
    given = {"learning_rate": 0.01, "tokens_per_batch": 256, "epochs": 2} | settings
    run = Trainer(task, examples, validation, TrainingSettings(**given), seed, recorder.save, (recorder,))
    return run.run(StopRequest()), recorder


# A step


@pytest.mark.parametrize("kind", ["single", "multi", "pair", "balanced", "windows"])
@pytest.mark.parametrize("tokens_per_batch", [100, 600])
def test_accumulated_batches_equal_one_large_batch(
    untrained: Untrained, stores: Stores, rows: Rows, kind: str, tokens_per_batch: int
) -> None:
    """In float64, after 3 steps; a large ε, for else Adam makes of rounding errors in tiny gradients large ones."""
    data: list[dict[str, Any]] = list(rows)
    task: dict[str, Any] = {"max_length": 16, "objective": EXACT}
    if kind == "multi":
        data = [row | {"label": [row["label"], "any"][: number % 3]} for number, row in enumerate(rows)]
        task["labels"] = "multi"
    elif kind == "pair":
        data = [row | {"pair": "why not today"} for row in rows]
        task["long_input"] = "truncate"
    elif kind == "balanced":
        data = [row for number, row in enumerate(rows) if row["label"] != "card" or number % 2]
        task |= {"objective": EXACT | {"class_weights": "balanced"}, "out_of_scope": "weather"}
    store, classifiers = stores(data), []
    for budget in (100_000, tokens_per_batch):
        classifier = untrained(data, model={"dropout": 0}, head_dropout=0, **task)
        classifier.network.double()
        batches = token_budget_batches(classifier.lengths(store), budget, seed=1, epoch=0)
        state, _ = fit(
            classifier, store, epochs=3, tokens_per_batch=budget, accumulation=len(batches), max_steps=3, epsilon=1e-3
        )
        assert state.step == 3
        classifiers.append(classifier)
    assert len(batches) > 2
    assert distance(weights(classifiers[0]), weights(untrained(data, **task))) > 1e-3
    assert distance(*map(weights, classifiers)) <= 1e-14  # measured: 2e-16


@pytest.mark.parametrize("limit", [1e-3, 1e3])
def test_gradients_are_clipped_to_their_norm(
    untrained: Untrained, stores: Stores, rows: Rows, monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    def plain(module: torch.nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
        group = {"params": list(module.parameters()), "initial_lr": settings.learning_rate}
        return torch.optim.SGD([group], lr=settings.learning_rate)

    monkeypatch.setattr(trainer, "build_optimizer", plain)
    task = untrained(rows, model={"dropout": 0}, head_dropout=0, objective=EXACT)
    task.network.double()
    store, before = stores(rows), weights(task)
    task.network.train()
    batch = task.collate(store.take(range(len(rows))))
    (task.loss(batch) / batch.num_targets).backward()  # type: ignore[no-untyped-call]
    norm = float(torch.cat([p.grad.flatten() for p in task.network.parameters() if p.grad is not None]).norm())
    task.network.zero_grad()
    fit(
        task,
        store,
        epochs=1,
        tokens_per_batch=100_000,
        schedule="constant",
        warmup=0,
        learning_rate=0.5,
        clip_norm=limit,
    )
    after = weights(task)
    moved = float(torch.cat([(after[name] - before[name]).flatten() for name in before]).norm())
    assert 1e-3 < norm < 1e3
    assert moved == pytest.approx(0.5 * min(norm, limit), rel=1e-5)  # the clipping adds 1e-6 to the norm


def test_every_step_has_the_rate_of_the_schedule(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    state, recorder = fit(untrained(rows), stores(rows), epochs=4, warmup=0.25, schedule="linear")
    total = state.total_steps
    assert state.step == total == len(recorder.rates) > 10
    expected = [0.01 * rate_factor("linear", n, warmup=round(total / 4), total=total) for n in range(1, total + 1)]
    assert recorder.rates == expected


def test_the_state_counts_tokens_padding_and_epochs(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    task, store = untrained(rows), stores(rows)
    state, recorder = fit(task, store, epochs=2)
    lengths = [task.lengths(store, seed=epoch_seed(1, epoch)) for epoch in (0, 1)]
    assert lengths[0].tolist() != lengths[1].tolist()
    batches = [token_budget_batches(lengths[epoch], 256, seed=1, epoch=epoch) for epoch in (0, 1)]
    done = [epoch + (n + 1) / len(batches[epoch]) for epoch in (0, 1) for n in range(len(batches[epoch]))]
    seen = [(epoch, rows) for epoch in (0, 1) for rows in batches[epoch]][: state.step]
    assert state.total_steps == 2 * len(batches[0])
    assert state.tokens == sum(lengths[epoch][rows].sum() for epoch, rows in seen)
    assert state.cells == sum(len(rows) * lengths[epoch][rows].max() for epoch, rows in seen)
    assert state.padding_share == pytest.approx(1 - state.tokens / state.cells)
    assert recorder.epochs[: len(done)] == pytest.approx(done[: state.step])
    assert state.tokens_per_second == pytest.approx(state.tokens / state.seconds)


def test_a_run_learns(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    task, store = untrained(rows), stores(rows)
    _, recorder = fit(task, store, epochs=10, learning_rate=0.02)
    assert np.mean(recorder.losses[-5:]) < np.mean(recorder.losses[:5]) / 2
    assert measure(task, store, resamples=0).metrics["accuracy"].value > 0.9


def test_batches_where_all_is_out_of_scope_are_passed_over(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    data = [row | {"label": "oos"} if len(row["text"]) > 25 else row for row in rows]
    task = untrained(data, out_of_scope="oos")
    _, recorder = fit(task, stores(data), tokens_per_batch=32)
    assert 0 in recorder.losses
    assert np.isfinite(recorder.losses).all()


# Seeds


def test_a_seed_decides_every_bit(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    def trained(seed: int) -> Weights:
        task = untrained(rows, seed=7)
        torch.manual_seed(int(np.random.default_rng().integers(2**31)))
        fit(task, stores(rows), seed=seed)
        return weights(task)

    first, again, other = trained(1), trained(1), trained(2)
    assert distance(first, again) == 0
    assert distance(first, other) > 1e-4


# What is kept


def planned(monkeypatch: pytest.MonkeyPatch, name: str, values: list[float]) -> None:
    """Let the evaluations find ``values``, one after the other."""
    remaining = iter(values)

    def found(task: TextClassifier, store: ExampleStore, *, quick: bool) -> Evaluation:
        assert quick
        metric = task.metrics[name]
        value = MetricValue(next(remaining), None, None, metric.direction, metric.unit, 0.95)
        return Evaluation(metrics={name: value}, num_examples=1, seconds=0)

    monkeypatch.setattr(trainer, "measure", found)


@pytest.mark.parametrize(
    ("name", "values", "patience", "best_at", "evaluations"),
    [
        ("accuracy", [0.5, 0.7, 0.6, 0.65], None, [1, 2], 4),
        ("accuracy", [0.5, 0.7, 0.6, 0.65, 0.9, 0.1], 2, [1, 2], 4),
        ("accuracy", [0.5, 0.7, 0.6, 0.8, 0.7, 0.7], 2, [1, 2, 4], 6),
        ("accuracy", [0.5, 0.7, 0.7, 0.7, 0.9], 2, [1, 2, 3, 4], 4),
        ("negative_log_likelihood", [0.9, 0.5, 0.7, 0.6, 0.1], 2, [1, 2], 4),
        ("negative_log_likelihood", [0.9, 1.0, 0.8], 5, [1, 3], 3),
    ],
)
def test_the_best_is_kept_and_patience_ends(
    untrained: Untrained,
    stores: Stores,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    values: list[float],
    patience: int | None,
    best_at: list[int],
    evaluations: int,
) -> None:
    planned(monkeypatch, name, values)
    store = stores(rows)
    state, recorder = fit(
        untrained(rows), store, store, epochs=len(values), select_by=name, patience=patience, tokens_per_batch=100_000
    )
    assert recorder.evaluated == [(step, step in best_at) for step in range(1, evaluations + 1)]
    assert recorder.saved == ["best"] * len(best_at) + ["last"]
    assert (state.step, state.best_step) == (evaluations, best_at[-1])
    assert state.best_value == values[best_at[-1] - 1]
    assert (distance(recorder.kept["best"], recorder.kept["last"]) == 0) == (best_at[-1] == evaluations)


def test_without_validation_the_last_is_the_best(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    state, recorder = fit(untrained(rows), stores(rows))
    assert recorder.saved == ["last", "best"]
    assert distance(recorder.kept["best"], recorder.kept["last"]) == 0
    assert recorder.evaluated == []
    assert state.best_value is None


@pytest.mark.parametrize("every", [0.1, 0.5, 1.0, 2.0, 100.0])
def test_evaluations_come_as_often_as_asked_for_and_at_the_end(
    untrained: Untrained, stores: Stores, rows: Rows, every: float
) -> None:
    task, store = untrained(rows), stores(rows)
    per_epoch = len(token_budget_batches(task.lengths(store), 256, seed=1, epoch=0))
    state, recorder = fit(task, store, stores(rows[:9]), epochs=3, evaluate_every=every)
    assert state.step == 3 * per_epoch
    interval = max(1, round(every * per_epoch))
    expected = sorted({*range(interval, state.step + 1, interval), state.step})
    assert [step for step, _ in recorder.evaluated] == expected


@pytest.mark.parametrize(
    ("settings", "steps"), [({"max_steps": 3}, 3), ({"epochs": 0.01}, 1), ({"max_steps": 10**6, "epochs": 0.01}, 1)]
)
def test_it_ends_after_the_steps_asked_for(
    untrained: Untrained, stores: Stores, rows: Rows, settings: dict[str, Any], steps: int
) -> None:
    task = untrained(rows)
    before = weights(task)
    state, recorder = fit(task, stores(rows), **settings)
    assert state.step == state.total_steps == len(recorder.rates) == steps
    assert distance(before, weights(task)) > 1e-3


def test_the_average_is_evaluated_and_kept_and_training_goes_on_from_the_weights(
    untrained: Untrained, stores: Stores, rows: Rows
) -> None:
    plain, averaged = untrained(rows), untrained(rows)
    history: list[Weights] = []
    recorder = Recorder(plain, lambda state: history.append(weights(plain)))
    fit(plain, stores(rows), stores(rows[:20]), recorder=recorder)
    _, recorder = fit(averaged, stores(rows), stores(rows[:20]), weight_average=0.8)
    assert distance(weights(plain), weights(averaged)) == 0
    shares = [0.8**age for age in reversed(range(len(history)))]
    mixture = torch.tensor(shares) / sum(shares)
    expected = {name: torch.stack([each[name] for each in history], dim=-1) @ mixture for name in history[0]}
    assert distance(recorder.kept["last"], expected) <= 1e-6
    assert distance(recorder.kept["last"], weights(averaged)) > 1e-3


@pytest.mark.parametrize("validated", [True, False])
def test_the_mean_of_the_last_checkpoints_is_kept(
    untrained: Untrained, stores: Stores, rows: Rows, validated: bool
) -> None:
    """A checkpoint an epoch, whether or not there are data to judge it by; the same weights are trained on."""
    plain, averaged = untrained(rows), untrained(rows)
    history: list[Weights] = []
    state, _ = fit(plain, stores(rows), recorder=Recorder(plain, lambda _: history.append(weights(plain))), epochs=4)
    validation = stores(rows[:20]) if validated else None
    _, recorder = fit(averaged, stores(rows), validation, epochs=4, average_last=3)
    assert distance(weights(plain), weights(averaged)) == 0
    per_epoch = state.step // 4
    checkpoints = history[per_epoch - 1 :: per_epoch]
    assert len(checkpoints) == 4
    expected = {name: torch.stack([each[name] for each in checkpoints[-3:]]).mean(dim=0) for name in checkpoints[0]}
    assert distance(recorder.kept["last"], expected) <= 1e-6
    assert distance(recorder.kept["last"], weights(averaged)) > 1e-3


# Failures


@pytest.mark.parametrize("bad_step", [1, 4])
def test_a_loss_that_is_not_finite_ends_the_run_and_the_good_state_is_kept(
    untrained: Untrained, stores: Stores, rows: Rows, bad_step: int
) -> None:
    task = untrained(rows)
    good: list[Weights] = [weights(task)]
    loss = task.loss

    def spoilt(batch: Any) -> Tensor:
        if len(good) == bad_step:
            return loss(batch) * float("nan")
        return loss(batch)

    task.loss = spoilt  # type: ignore[method-assign]
    recorder = Recorder(task, lambda state: good.append(weights(task)))
    with pytest.raises(JobError, match=f"no longer finite at step {bad_step} ") as caught:
        fit(task, stores(rows), stores(rows[:20]), recorder=recorder)
    assert caught.value.exit_code == 1
    assert "learning_rate" in (caught.value.remedy or "")
    assert distance(weights(task), good[-1]) == 0
    assert recorder.saved == ([] if bad_step == 1 else ["last", "best"])
    if bad_step > 1:
        assert distance(recorder.kept["last"], good[-1]) == 0


def test_a_failure_elsewhere_leaves_the_last_state(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    def full(state: TrainingState) -> None:
        if state.step == 3:
            with writing(Path("metrics.jsonl")):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    task = untrained(rows)
    recorder = Recorder(task, full)
    with pytest.raises(JobError, match=r"the disk filled up while writing metrics\.jsonl"):
        fit(task, stores(rows), recorder=recorder)
    assert recorder.saved == ["last", "best"]
    assert distance(recorder.kept["last"], weights(task)) == 0


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_finishes_the_step_and_keeps_the_last_state(
    untrained: Untrained, stores: Stores, rows: Rows, number: signal.Signals, exit_code: int
) -> None:
    task, stop = untrained(rows), StopRequest()

    def ask(state: TrainingState) -> None:
        if state.step == 2:
            stop.signal = number

    recorder = Recorder(task, ask)
    settings = TrainingSettings(tokens_per_batch=256, epochs=5)
    with pytest.raises(StoppedError, match=f"stopped by {number.name}; the last state is saved") as caught:
        Trainer(task, stores(rows), stores(rows[:9]), settings, 1, recorder.save, (recorder,)).run(stop)
    assert caught.value.exit_code == exit_code
    assert len(recorder.losses) == 2
    assert recorder.saved == ["last", "best"]
    assert distance(recorder.kept["last"], weights(task)) == 0
