"""metrics.jsonl: what happened in a run, one JSON object a line."""

from __future__ import annotations

import json
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any

from heedful.checkpoint import writing
from heedful.evaluation import Evaluation
from heedful.training.trainer import TrainingState

METRICS_FILE = "metrics.jsonl"


class MetricsLog:
    """Writes a record every few steps and at every evaluation, each at once to the disk."""

    def __init__(self, path: Path, *, every: int) -> None:
        self._path, self._every = path, every
        self._file: TextIOWrapper | None = None

    def __enter__(self) -> MetricsLog:
        with writing(self._path):
            self._file = self._path.open("w", encoding="utf-8", buffering=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def on_step(self, state: TrainingState) -> None:
        if state.step % self._every == 0 or state.step == state.total_steps:
            self._write(
                state,
                train_loss=state.loss,
                learning_rate=state.learning_rate,
                tokens_per_second=round(state.tokens_per_second, 1),
                padding_share=round(state.padding_share, 4),
            )

    def on_evaluation(self, state: TrainingState, evaluation: Evaluation, *, best: bool) -> None:
        values = {f"validation_{name}": metric.value for name, metric in evaluation.metrics.items()}
        loss = values.pop("validation_negative_log_likelihood", None)
        self._write(state, **({} if loss is None else {"validation_loss": loss}), **values, best=best)

    def _write(self, state: TrainingState, **values: Any) -> None:
        assert self._file is not None, "the log is open while a run goes on"
        record = {"step": state.step, "epoch": round(state.epoch, 4), **values}
        with writing(self._path):
            self._file.write(json.dumps(record) + "\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
