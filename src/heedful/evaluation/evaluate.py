"""Running a task over a data set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from heedful.data import Columns, ExampleStore, OnBadRow
from heedful.evaluation.report import Confusion, Evaluation
from heedful.tasks import AnyTask, Tally, Task, load


def evaluate(
    task: AnyTask | str | Path,
    data: str | Path,
    *,
    columns: Columns | None = None,
    on_bad_row: OnBadRow = OnBadRow.ERROR,
    resamples: int = 1000,
    tally: Tally | None = None,
) -> Evaluation:
    """Evaluate a task on labelled data.

    Args:
        task: the task, or the folder of one.
        data: a file, folder, Hub id or shipped data set.
        columns: the columns' names; those of the training data if not given.
        resamples: bootstrap resamples behind the intervals; 0 for no intervals.
        tally: counts the work batch by batch, for whoever wants to follow it.

    Raises:
        DataError: the data cannot be read, or hold a label that the classifier never learnt.
    """
    if not isinstance(task, Task):
        task = load(task)
    reader = task.read(data, columns=columns, on_bad_row=on_bad_row)
    with ExampleStore(reader) as store:
        return measure(task, store, resamples=resamples, notes=reader.notes, tally=tally)


def measure(
    task: Task[Any],
    store: ExampleStore,
    *,
    resamples: int = 1000,
    notes: tuple[str, ...] = (),
    tally: Tally | None = None,
    quick: bool = False,
) -> Evaluation:
    """Evaluate a task on examples that have been read already.

    Args:
        quick: as far as it helps to follow a training run, see :meth:`Task.validate`.
    """
    started = time.perf_counter()
    assessment = task.validate(store) if quick else task.assess(store, resamples=resamples, tally=tally)
    confusion = None if assessment.confusion is None else Confusion.of(assessment.classes, assessment.confusion)
    return Evaluation(
        metrics=assessment.metrics,
        num_examples=assessment.num_examples,
        seconds=time.perf_counter() - started,
        per_class=assessment.per_class,
        confusion=confusion,
        notes=(*notes, *assessment.notes),
        extra=assessment.extra,
    )
