"""What an evaluation found, for machines (JSON, CSV), for the terminal and as a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from heedful.checkpoint.atomic import replace_files
from heedful.errors import DataError
from heedful.evaluation.comparison import Rival
from heedful.evaluation.lettering import printable
from heedful.evaluation.plots import save_confusion_matrix
from heedful.metrics import ClassScores, MetricValue, most_confused, readable

ROWS_SHOWN = 10
"""Of the classes and of the confused pairs, in the terminal; the files hold all."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often class ``labels[row]`` was taken for class ``labels[column]``."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, labels: tuple[str, ...], matrix: npt.NDArray[np.integer[Any]]) -> Confusion:
        """From a confusion matrix (C, C)."""
        return cls(labels, tuple(tuple(row) for row in matrix.tolist()))

    @property
    def matrix(self) -> npt.NDArray[np.int64]:
        """The counts as an array, (C, C)."""
        return np.array(self.counts, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a task did on a data set.

    ``per_class`` has one row a class in the order of the labels, and ``confusion`` is None where an example
    may have several labels or there are no labels. ``extra`` holds numbers that stand outside the task's
    metrics, such as the AUROC of out-of-scope detection; ``notes`` are sentences that the reader must not
    miss, such as how many texts were cut; ``seconds`` is the time that predicting took; ``baselines`` is what needs
    no learning reaches, its name -> metric -> value; ``against`` is the comparison
    with another model, where one was asked for.
    """

    metrics: dict[str, MetricValue]
    num_examples: int
    seconds: float
    per_class: tuple[ClassScores, ...] = ()
    confusion: Confusion | None = None
    notes: tuple[str, ...] = ()
    extra: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    against: Rival | None = None

    def to_json(self) -> str:
        """As a JSON document that ``from_json`` reads back."""
        return _indented(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """Read what ``to_json`` wrote.

        Raises DataError where ``text`` is something else, with every fault.
        """
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as caught:
            faults = [
                f"  {'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}"
                for fault in caught.errors(include_url=False)
            ]
            raise DataError(
                "this is not an evaluation:\n" + "\n".join(faults), remedy="Give an evaluation.json as saved."
            ) from None

    def save(self, folder: str | Path) -> None:
        """Write evaluation.json and, where there are classes, per_class.csv and confusion_matrix.svg and png.

        All or none of them are replaced. Raises OutputError or JobError where they cannot be written.
        """
        with replace_files(Path(folder)) as staging:
            (staging / "evaluation.json").write_text(self.to_json(), encoding="utf-8")
            if self.per_class:
                _write_csv(staging / "per_class.csv", [asdict(scores) for scores in self.per_class])
            if self.confusion:
                for suffix in ("svg", "png"):
                    path = staging / f"confusion_matrix.{suffix}"
                    save_confusion_matrix(self.confusion.matrix, self.confusion.labels, path)

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [self._metrics_table()]
        if self.against:
            parts.append(self._rival_table(self.against))
        if self.per_class:
            parts.append(self._classes_table())
        if self.confusion and (pairs := most_confused(self.confusion.matrix, ROWS_SHOWN)):
            parts.append(_confused_table(self.confusion, pairs))
        if self.notes:
            parts.append(Text("\n".join(f"! {note}" for note in self.notes), style="yellow"))
        return Group(*(Padding(part, (0, 1, 1, 1), expand=False) for part in parts))

    def _metrics_table(self) -> Table:
        rate = f", {self.num_examples / self.seconds:,.0f} a second" if self.seconds > 0 else ""
        table = titled_table(f"{_counted(self.num_examples, 'example')} in {self.seconds:.1f} s{rate}")
        levels = {value.confidence for value in self.metrics.values() if value.low is not None}
        table.add_column("metric")
        table.add_column("value", justify="right", style="bold")
        table.add_column("")
        if levels:
            table.add_column(f"{max(levels):.0%} interval", justify="right")
        table.add_column("better", style="dim")
        for baseline in self.baselines:
            table.add_column(baseline, justify="right", style="dim")
        for name, value in self.metrics.items():
            interval = [value.interval] if levels else []
            others = [value.in_unit(values[name]) for values in self.baselines.values()]
            table.add_row(readable(name), value.number, value.unit, *interval, value.direction, *others)
        for name, number in self.extra.items():
            table.add_row(readable(name), f"{number:.3f}")
        return table

    def _rival_table(self, rival: Rival) -> Table:
        table = titled_table(f"against {printable(rival.name)}, on the same {_counted(self.num_examples, 'example')}")
        level = next(iter(self.metrics.values())).confidence
        table.add_column("metric")
        for name in ("its value", "difference", f"{level:.0%} interval", "p", "p,\nrandomised"):
            table.add_column(name, justify="right", no_wrap=True, style="bold" if name == "difference" else "")
        for name, found in rival.metrics.items():
            value = self.metrics[name]
            signed = (value.in_unit(number, signed=True) for number in (found.difference, found.low, found.high))
            difference, *interval = signed
            chances = (f"{p:.4f}" for p in (found.p_value, rival.randomised[name]))
            table.add_row(readable(name), value.in_unit(found.first), difference, " – ".join(interval), *chances)
        return table

    def _classes_table(self) -> Table:
        occurring = [scores for scores in self.per_class if scores.support or scores.predicted]
        worst = sorted(occurring, key=lambda scores: (scores.f1, scores.label))[:ROWS_SHOWN]
        shown = "classes" if len(worst) == len(occurring) else f"{ROWS_SHOWN} of {len(occurring)} classes"
        table = titled_table(f"{shown}, worst first")
        table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=36)
        for name in ("precision", "recall", "F1", "examples"):
            table.add_column(name, justify="right", style="bold" if name == "F1" else "")
        for scores in worst:
            shares = (f"{100 * share:.1f}" for share in (scores.precision, scores.recall, scores.f1))
            table.add_row(Text(printable(scores.label)), *shares, f"{scores.support:,}")
        return table


def _confused_table(confusion: Confusion, pairs: list[tuple[int, int, int]]) -> Table:
    table = titled_table("most confused")
    table.add_column("times", justify="right", style="bold")
    for column in ("true class", "taken for"):
        table.add_column(column, overflow="ellipsis", no_wrap=True, max_width=32)
    for true, predicted, count in pairs:
        table.add_row(f"{count:,}", *(Text(printable(confusion.labels[c])) for c in (true, predicted)))
    return table


def titled_table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
        show_edge=False,
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _indented(value: object, indent: str = "") -> str:
    """JSON with one line for each innermost list or object: a matrix of numbers stays readable."""
    parts = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(parts, list | tuple) or not any(isinstance(part, dict | list | tuple) for part in parts):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = indent + "  "
    keys = (
        [f"{json.dumps(key, ensure_ascii=False)}: " for key in value]
        if isinstance(value, Mapping)
        else [""] * len(parts)
    )
    opening, closing = "{}" if isinstance(value, Mapping) else "[]"
    lines = ",\n".join(f"{inner}{key}{_indented(part, inner)}" for key, part in zip(keys, parts, strict=True))
    return f"{opening}\n{lines}\n{indent}{closing}"
