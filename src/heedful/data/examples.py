"""Rows of a source as examples of classification."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from heedful.errors import DataError


class LabelKind(StrEnum):
    """What labels a row carries."""

    SINGLE = "single"
    MULTI = "multi"
    NONE = "none"


class Example(NamedTuple):
    """One text to classify, or a pair of texts."""

    text: str
    pair: str | None
    labels: tuple[str, ...]
    """Exactly one for single-label data, any number for multi-label data, none for prediction."""
    row: int


class OnBadRow(StrEnum):
    """What happens to a row that cannot be used."""

    ERROR = "error"
    SKIP = "skip"


@dataclass(frozen=True)
class Columns:
    """The columns an example is made of."""

    text: str = "text"
    pair: str | None = None
    label: str = "label"


@dataclass
class BadRows:
    """Rows that could not be used."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user; empty where all rows were good."""
        return ()


class ExampleReader:
    """Iterates over the examples of a source; ``bad_rows`` fills as it goes."""

    def __init__(self, source: str, columns: Columns, label_kind: LabelKind, on_bad_row: OnBadRow) -> None:
        self.bad_rows = BadRows()
        self._source, self._columns, self._label_kind, self._on_bad_row = (
            source,
            columns,
            label_kind,
            on_bad_row,
        )

    def __iter__(self) -> Iterator[Example]:
        opener: Any = gzip.open if self._source.endswith(".gz") else open
        if not Path(self._source).is_file():
            raise DataError(f"there is no file {self._source}")
        with opener(self._source, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                labels = () if self._label_kind is LabelKind.NONE else (row[self._columns.label],)
                pair = row[self._columns.pair] if self._columns.pair else None
                yield Example(row[self._columns.text], pair, labels, number)


def read_examples(
    source: str,
    columns: Columns | None = None,
    *,
    label_kind: LabelKind = LabelKind.SINGLE,
    on_bad_row: OnBadRow = OnBadRow.ERROR,
) -> ExampleReader:
    """The examples of ``source``, streaming."""
    return ExampleReader(source, columns or Columns(), LabelKind(label_kind), OnBadRow(on_bad_row))
