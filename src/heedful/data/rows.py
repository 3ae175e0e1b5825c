"""One row of a file, and the columns that it should have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from heedful.data.source import DataFile
from heedful.errors import DataError
from heedful.settings import nearest


class Row(NamedTuple):
    """One row of a file."""

    file: str
    number: int
    """As an editor counts: the line it begins on, from 1; of parquet and Arrow files the row, from 1."""
    values: dict[str, Any]
    unit: str = "line"
    """What ``number`` counts."""
    blank: bool = False
    """A line of plain text with nothing on it, which has no text and is no fault."""

    @property
    def place(self) -> str:
        """Where the row is, for people."""
        return f"{self.file}, {self.unit} {self.number:,}"


def check_columns(file: DataFile, present: Sequence[str], columns: Collection[str]) -> None:
    """Raise a DataError if a column is there twice, or a wanted one is not there."""
    for name in present:
        if present.count(name) > 1:
            raise DataError(f"{file} has the column {name!r} twice", remedy="Rename or remove one of them.")
    if fault := missing_column(present, columns):
        raise DataError(f"{file} has {fault}", remedy="Say which columns to use with the columns option.")


def missing_column(present: Iterable[str], columns: Collection[str]) -> str | None:
    """The first of ``columns`` that is not ``present`` with the nearest that is, for people; None if all are."""
    present = list(present)
    for name in columns:
        if name not in present:
            return f"no column {name!r}; {nearest(name, present)}"
    return None
