"""Rounding a task's network to 8-bit integers without losing what it is good for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from heedful.checkpoint import replace_files
from heedful.data import Columns, Example, ExampleStore, OnBadRow
from heedful.errors import DataError, JobError, RequestError, UnsupportedError
from heedful.inference import (
    INT8_FILE,
    Inputs,
    in_place,
    join,
    linear_maps,
    observing,
    put,
    read_maps,
    rounded,
    write_maps,
)
from heedful.metrics import MetricValue
from heedful.nn.int8 import Int8Weights, multiplies_bfloat16
from heedful.tasks.base import Tally, Task

CALIBRATED = 128
"""Examples whose inputs are looked at."""
TOGETHER = 16
TOLERANCE = 0.3
"""Points of the task's own metric that may be lost."""
PRECISIONS = ("int8", "int8-weights", "bfloat16")


@dataclass(frozen=True)
class Quantization:
    """What rounding cost."""

    file: str
    metric: str
    before: float
    after: float
    examples: int
    """By which both were measured."""
    rounded: int
    """Linear maps on whole numbers."""
    kept: tuple[str, ...]
    """Those that stayed as they were, since rounding them cost too much."""
    shown: tuple[str, str]
    """The metric before and after, as people read it."""

    def to_json(self) -> str:
        """As a JSON document."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def quantize(
    task: Task[Any],
    data: str | Path,
    *,
    columns: Columns | None = None,
    on_bad_row: OnBadRow = OnBadRow.ERROR,
    limit: int | None = 1000,
    tolerance: float = TOLERANCE,
    tally: Tally | None = None,
) -> Quantization:
    """Calibrate 8-bit integers on labelled examples, and keep them in the folder that the task was loaded from.

    The folder's own weights stay as they are; ``heedful.load(folder, precision="int8")`` takes the integers. The
    task that is given stays as it is, too.

    Args:
        task: as :func:`heedful.load` returns it from a folder.
        limit: examples that the task's metric is measured by, evenly spread; all unless given.
        tolerance: points of the metric that may be lost. Where it is more, the linear maps that suffer most from
            rounding are left as they are, until it is not.
        tally: counts the work, one pass over the examples after the other.

    Raises:
        DataError: the data cannot be read, or there is nothing in them.
        RequestError: the task came from no folder.
        UnsupportedError: the network has no layers of ours, or is rounded already.
        JobError: even the least of rounding costs more than the tolerance.
    """
    folder = Path(task.source)
    if not folder.is_dir():
        raise RequestError(
            f"{task.source} is no folder to keep integers in", remedy="Save the model first, and load it."
        )
    linears = linear_maps(task.network)
    if not linears:
        raise UnsupportedError("the network has no layers that heedful knows how to round")
    with ExampleStore(_spread(task, data, columns, on_bad_row, limit)) as store:
        if not len(store):
            raise DataError(f"{data} holds no example")
        with in_place(task.network, linears):
            inputs = _observed(task, store, linears)
            spans = {name: seen.span() for name, seen in inputs.items()}
            maps = rounded({name: linears[name] for name in spans}, spans)
            worst = sorted(maps, key=lambda name: -inputs[name].error(linears[name], maps[name]))
            before = _judged(task, store, tally)
            for number in _more_and_more(len(worst)):
                kept = worst[:number]
                put(task.network, {**maps, **{name: linears[name] for name in kept}})
                after = _judged(task, store, tally)
                if _loss(before, after) <= tolerance:
                    break
            else:
                raise JobError(f"rounding a single linear map costs more than {tolerance} points of {task.main_metric}")
        chosen = {name: each for name, each in maps.items() if name not in kept}
        with replace_files(folder) as staging:
            write_maps(staging, chosen)
        return Quantization(
            file=str(folder / INT8_FILE),
            metric=task.main_metric,
            before=before.value,
            after=after.value,
            examples=len(store),
            rounded=len(chosen),
            kept=tuple(kept),
            shown=(before.number, after.number),
        )


def set_precision(task: Task[Any], precision: str, folder: Path) -> None:
    """Have a task that was just loaded from a folder compute on other numbers.

    Args:
        precision: ``int8`` for the 8-bit integers that ``heedful quantize`` keeps in the folder; where there are none,
            inputs are rounded row by row. ``int8-weights`` for weights alone as integers. ``bfloat16`` for fractions
            of 16 bits, in a classifier up to its head.

    Raises:
        CheckpointError: what the folder keeps is damaged, or of other weights.
        RequestError: there is no such precision.
        UnsupportedError: the network has no layers of ours.
    """
    if precision not in PRECISIONS:
        raise RequestError(
            f"{precision!r} is no precision", remedy=f"Choose one of {', '.join(PRECISIONS)}, or leave it out."
        )
    if precision == "bfloat16":
        task.network.bfloat16()
        if isinstance(head := getattr(task.network, "head", None), nn.Module):
            head.float()  # of few bits, scores of like labels would be the same
        if not multiplies_bfloat16():
            task.notes += ("this processor has no products of bfloat16: expect it to be slow",)
        return
    task.network.float()
    linears = linear_maps(task.network)
    if not linears:
        raise UnsupportedError(
            "the network has no layers that heedful knows how to round", remedy="Leave precision out."
        )
    if precision == "int8-weights":
        while linears:  # one by one, so that each finds room where the one before was
            name, linear = linears.popitem()
            put(task.network, {name: Int8Weights.of(linear)})
    elif (folder / INT8_FILE).is_file():
        put(task.network, read_maps(folder, task.network))
    else:
        put(task.network, rounded(linears))
        task.notes += ("8-bit integers were not calibrated: heedful quantize makes them faster",)
    join(task.network)


def _spread(
    task: Task[Any], data: str | Path, columns: Columns | None, on_bad_row: OnBadRow, limit: int | None
) -> Iterator[Example]:
    """Examples of a source, evenly spread where there are more than the limit."""
    with ExampleStore(task.read(data, columns=columns, on_bad_row=on_bad_row)) as store:
        yield from store.spread(limit)


def _observed(task: Task[Any], store: ExampleStore, linears: Mapping[str, nn.Linear]) -> dict[str, Inputs]:
    """What each linear map is given by some of the examples; maps that are given nothing are left out."""
    task.network.eval()
    examples = store.spread(CALIBRATED)
    with torch.no_grad(), observing(linears) as inputs:
        for start in range(0, len(examples), TOGETHER):
            task.loss(task.collate(examples[start : start + TOGETHER]))
    return {name: seen for name, seen in inputs.items() if seen.rows}


def _judged(task: Task[Any], store: ExampleStore, tally: Tally | None) -> MetricValue:
    if tally is not None:
        tally.restart()
    return task.assess(store, resamples=0, tally=tally).metrics[task.main_metric]


def _loss(before: MetricValue, after: MetricValue) -> float:
    """What was lost, in points."""
    points = 100 if before.unit == "%" else 1
    sign = 1 if before.direction == "higher" else -1
    return sign * (before.value - after.value) * points


def _more_and_more(most: int) -> Iterator[int]:
    """0, 1, 2, 4, … maps that are left as they are, fewer than all."""
    yield 0
    number = 1
    while number < most:
        yield number
        number *= 2
