"""Running a task over a data set."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from heedful.data import Columns, ExampleStore, OnBadRow
from heedful.errors import RequestError
from heedful.evaluation.comparison import compare
from heedful.evaluation.report import Confusion, Evaluation
from heedful.tasks import AnyTask, Assessment, Tally, Task, load


def evaluate(
    task: AnyTask | str | Path,
    data: str | Path,
    *,
    against: AnyTask | str | Path | None = None,
    columns: Columns | None = None,
    on_bad_row: OnBadRow = OnBadRow.ERROR,
    resamples: int = 1000,
    tally: Tally | None = None,
) -> Evaluation:
    """Evaluate a task on labelled data, alone or against another one.

    Args:
        task: the task, or the folder of one.
        data: a file, folder, Hub id or shipped data set.
        against: another task of the same job, or its folder, to be compared with on the same examples.
        columns: the columns' names; those of the training data if not given.
        resamples: bootstrap resamples behind the intervals; 0 for no intervals.
        tally: counts the work batch by batch, for whoever wants to follow it.

    Raises:
        DataError: the data cannot be read, or hold a label that the classifier never learnt.
        RequestError: the two tasks cannot be compared.
    """
    task = task if isinstance(task, Task) else load(task)
    rival = against if isinstance(against, Task) or against is None else load(against, task=task.job)
    if rival is not None and rival.job != task.job:
        raise RequestError(
            f"{rival.source} is for {rival.job}, {task.source} for {task.job}", remedy="Compare models of one job."
        )
    reader = task.read(data, columns=columns, on_bad_row=on_bad_row)
    with ExampleStore(reader) as store:
        started = time.perf_counter()
        assessment = task.assess(store, resamples=resamples, tally=tally)
        evaluation = _evaluation(assessment, time.perf_counter() - started, reader.notes)
        if rival is None:
            return evaluation
        if tally is not None:
            tally.restart()
        other = rival.assess(store, resamples=0, tally=tally)
    compared = compare(rival.source, other, assessment, task.metrics, resamples=resamples)
    return replace(evaluation, against=compared)


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
    return _evaluation(assessment, time.perf_counter() - started, notes)


def _evaluation(assessment: Assessment, seconds: float, notes: tuple[str, ...]) -> Evaluation:
    confusion = None if assessment.confusion is None else Confusion.of(assessment.classes, assessment.confusion)
    return Evaluation(
        metrics=assessment.metrics,
        num_examples=assessment.num_examples,
        seconds=seconds,
        per_class=assessment.per_class,
        confusion=confusion,
        notes=(*notes, *assessment.notes),
        extra=assessment.extra,
        baselines=assessment.baselines,
    )
