"""One row of a file, and the columns that it should have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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

    def reaching(self, columns: Collection[str]) -> Row:
        """The row with what lies at dotted names, such as ``translation.en``, under these names."""
        found = {name: self.values[name] if name in self.values else _reach(self.values, name) for name in columns}
        return self._replace(values={**self.values, **found})


def check_columns(
    file: DataFile, names: Sequence[str], columns: Collection[str], inner: Mapping[str, Any] | None = None
) -> None:
    """Raise a DataError if a column is there twice, or a wanted one is not there.

    ``inner`` holds, for columns of objects, the names within them as a mapping.
    """
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{file} has the column {name!r} twice", remedy="Rename or remove one of them.")
    if fault := missing_column({**dict.fromkeys(names, ""), **(inner or {})}, columns):
        raise DataError(f"{file} has {fault}", remedy="Say which columns to use with the columns option.")


def missing_column(present: Mapping[str, Any], columns: Collection[str]) -> str | None:
    """The first of ``columns`` that is not ``present`` with the nearest that is, for people; None if all are."""
    for name in columns:
        if name not in present:
            try:
                _reach(present, name)
            except KeyError:
                return f"no column {name!r}; {nearest(name, _names(present))}"
    return None


def _reach(values: Mapping[str, Any], column: str) -> Any:
    """What lies at a dotted name; None where it would lie in nothing. Raises KeyError where there is no such place."""
    outer, dot, rest = column.partition(".")
    inner = values[outer]
    if not dot or inner is None:
        return inner
    if not isinstance(inner, Mapping):
        raise KeyError(column)
    return inner[rest] if rest in inner else _reach(inner, rest)


def _names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The names of columns and, instead of columns of objects, the dotted names within them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield prefix + name
