"""Rows of files that are read line by line: csv, tsv, JSON Lines and plain text."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from typing import Any

from heedful.data.bad_rows import BadRows
from heedful.data.files import MAX_LINE_BYTES, Lines, opened
from heedful.data.rows import Row, check_columns, missing_column
from heedful.data.source import DataFile
from heedful.errors import DataError


def read_delimited(file: DataFile, columns: Collection[str], bad_rows: BadRows, *, delimiter: str) -> Iterator[Row]:
    """Rows of a csv or tsv file with a header; fields in quotation marks may hold line ends (RFC 4180)."""
    csv.field_size_limit(MAX_LINE_BYTES)
    with opened(file) as stream:
        lines = Lines(stream)
        records = csv.reader(lines, delimiter=delimiter, strict=True)
        header, fault = _next_record(lines, records)
        if fault:
            raise DataError(f"the header of {file} {fault}", remedy="Save the file as UTF-8 text.")
        check_columns(file, header or [], columns if header else ())
        while True:
            row = Row(str(file), lines.number + 1, {})
            record, fault = _next_record(lines, records)
            if record is None and fault is None:
                return
            if record and not fault and len(record) != len(header or ()):
                fault = f"has {len(record)} fields, but the header has {len(header or ())}"
            if fault:
                bad_rows.report(row.place, fault)
            elif record:
                yield row._replace(values=dict(zip(header or (), record, strict=True)))


def _next_record(lines: Lines, records: Iterator[list[str]]) -> tuple[list[str] | None, str | None]:
    """The fields of the next row, none of a blank line, and what is wrong with it; (None, None) at the end."""
    try:
        record = next(records, None)
    except csv.Error as error:
        return None, lines.take_fault() or f"is not written properly: {error}"
    return record, lines.take_fault()


def read_jsonl(file: DataFile, columns: Collection[str], bad_rows: BadRows) -> Iterator[Row]:
    """Rows of a JSON Lines file, an object a line."""
    for row, line in _good_lines(file, bad_rows):
        if line.isspace():
            continue
        try:
            values = json.loads(line, object_pairs_hook=_object)
            fault = _object_fault(values, columns)
        except _DuplicateError as error:
            fault = f"has the column {error} twice"
        except (ValueError, RecursionError) as error:
            fault = f"is not valid JSON: {error}"
        if fault:
            bad_rows.report(row.place, fault)
        else:
            yield row._replace(values=values)


class _DuplicateError(ValueError):
    """A key that an object has twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateError(next(repr(name) for name in names if names.count(name) > 1))
    return values


def _object_fault(values: Any, columns: Collection[str]) -> str | None:
    if not isinstance(values, dict):
        return 'is no JSON object, such as {"text": "..."}'
    fault = missing_column(values, columns)
    return f"has {fault}" if fault else None


def read_text(file: DataFile, columns: Collection[str], bad_rows: BadRows) -> Iterator[Row]:
    """Lines of plain text, each of them the first of ``columns``, or ``text``; blank ones too, so that all count."""
    name, *others = columns or ["text"]
    if others:
        raise DataError(
            f"{file} is plain text, a text a line, and has no column {others[0]!r}",
            remedy="Use csv, tsv, jsonl or parquet, or name two aligned files, such as train.en+train.de.",
        )
    for row, line in _good_lines(file, bad_rows):
        yield row._replace(values={name: line.rstrip("\r\n")}, blank=not line.strip())


def _good_lines(file: DataFile, bad_rows: BadRows) -> Iterator[tuple[Row, str]]:
    """Each good line, with a row still empty."""
    with opened(file) as stream:
        lines = Lines(stream)
        for line in lines:
            row = Row(str(file), lines.number, {})
            fault = lines.take_fault()
            if fault:
                bad_rows.report(row.place, fault)
            else:
                yield row, line
