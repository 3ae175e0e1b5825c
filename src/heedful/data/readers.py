"""Rows of any source, one after the other, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

from heedful.data.aligned import read_aligned
from heedful.data.bad_rows import BadRows
from heedful.data.files import opened
from heedful.data.lines import read_delimited, read_jsonl, read_text
from heedful.data.rows import Row
from heedful.data.source import DataFile, Format, Source, Where
from heedful.data.tables import read_arrow, read_parquet
from heedful.data.tmx import read_tmx
from heedful.errors import DataError

AnySource = Source | Where | Sequence[Where]

_LINE_READERS: Mapping[Format, Callable[[DataFile, Collection[str], BadRows], Iterator[Row]]] = {
    Format.CSV: partial(read_delimited, delimiter=","),
    Format.TSV: partial(read_delimited, delimiter="\t"),
    Format.JSONL: read_jsonl,
    Format.TEXT: read_text,
    Format.TMX: read_tmx,
}
_TABLE_READERS: Mapping[Format, Callable[[DataFile, Collection[str]], Iterator[Row]]] = {
    Format.PARQUET: read_parquet,
    Format.ARROW: read_arrow,
}


def read_rows(source: AnySource, *, columns: Collection[str] = (), bad_rows: BadRows | None = None) -> Iterator[Row]:
    """Read the rows of all files of a source.

    Args:
        source: a :class:`Source`, or what :meth:`Source.parse` takes.
        columns: the columns that each row must have.
        bad_rows: what to do with a row that cannot be read, and where to count it; an error if not given.

    Raises:
        DataError: a file is missing, empty, damaged, lacks a column or has it twice; or a row cannot be read and
            ``bad_rows`` says so.
    """
    source = source if isinstance(source, Source) else Source.parse(source)
    bad_rows = bad_rows or BadRows()
    for file in source.files:
        bad_before, row = bad_rows.count, None
        for row in _rows(file, columns, bad_rows):
            yield row
        if row is None and bad_rows.count == bad_before:
            raise DataError(f"{file} holds no rows", remedy="Check that it is the right file, and complete.")


def _rows(file: DataFile, columns: Collection[str], bad_rows: BadRows) -> Iterator[Row]:
    if file.target:
        return read_aligned(file, file.target, columns, bad_rows)
    form = file.format or _guess(file)
    table_reader = _TABLE_READERS.get(form)
    return table_reader(file, columns) if table_reader else _LINE_READERS[form](file, columns, bad_rows)


def _guess(file: DataFile) -> Format:
    """What a stream without a name holds: JSON Lines begin with a brace, all else is taken for plain text."""
    with opened(file) as stream:
        return Format.JSONL if stream.peek(1).lstrip().startswith(b"{") else Format.TEXT
