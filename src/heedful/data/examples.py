"""Rows as examples: texts with labels, or with the texts that are to be written for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import Field

from heedful.data.bad_rows import BadRows, OnBadRow
from heedful.data.readers import AnySource, read_rows
from heedful.data.rows import Row
from heedful.data.source import Source
from heedful.errors import DataError
from heedful.settings import Settings
from heedful.text import is_unicode

IDENTICAL_SHARE = 0.02
"""A larger share of targets that are their sources teaches a model to copy (Ott et al. 2018, "Analyzing Uncertainty in
Neural Machine Translation")."""


LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


class LabelKind(StrEnum):
    """What labels a row has."""

    SINGLE = "single"
    """Exactly one."""
    MULTI = "multi"
    """Any number, also none: a list, or one string with a separator."""
    TEXT = "text"
    """The text that is to be written for it, instead of any."""
    NONE = "none"
    """None that is looked at."""


_NO_LABELS = frozenset({LabelKind.TEXT, LabelKind.NONE})


class Columns(Settings):
    """The names of the columns that an example is made of; ``a.b`` is the b of the objects in a column a."""

    text: str = Field("text", description="the text")
    pair: str | None = Field(None, description="a second text, where pairs of texts are classified")
    label: str = Field("label", description="its label or labels")
    target: str = Field("target", description="the text that is to be written, where texts are")
    target_language: str | None = Field(
        None, description="code of the language of the target, such as de, for one model that writes several"
    )
    label_separator: str = Field("|", min_length=1, description="between several labels in one string")


class Example(NamedTuple):
    """One text, or a pair of texts, and what is to be answered."""

    text: str
    """Empty for a blank line of plain text only."""
    pair: str | None
    labels: tuple[str, ...]
    """One, any number, or none, as the :class:`LabelKind` says."""
    row: int
    """Its number in the file: the line it begins on, or the row of a table."""
    file: str = ""
    """Where it is one of several."""
    target: str | None = None
    """The text that is to be written; None where labels are asked for, or nothing."""
    target_language: str | None = None
    """Its language, where the row says it."""

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.file}, row {self.row}" if self.file else f"row {self.row}"


class ExampleReader:
    """The examples of a source; every iteration reads it anew."""

    def __init__(self, source: Source, columns: Columns, label_kind: LabelKind, on_bad_row: OnBadRow) -> None:
        self.bad_rows = BadRows(on_bad_row)
        """Of the latest iteration, up to where it is."""
        self._written = self._identical = 0
        self._source = source
        self._columns = columns
        self._label_kind = label_kind
        answers = {LabelKind.NONE: None, LabelKind.TEXT: columns.target}
        self._answer_column = answers.get(label_kind, columns.label)
        self._language_column = columns.target_language if label_kind is LabelKind.TEXT else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the latest iteration has found that the user should know, a line each."""
        share = self._identical / max(self._written, 1)
        if share <= IDENTICAL_SHARE:
            return self.bad_rows.notes
        return (
            *self.bad_rows.notes,
            f"{self._identical:,} of {self._written:,} targets ({share:.1%}) are identical to their sources: "
            "a model learns to copy from such examples",
        )

    def __iter__(self) -> Iterator[Example]:
        self.bad_rows = BadRows(self.bad_rows.policy)
        self._written = self._identical = 0
        named = (self._columns.text, self._columns.pair, self._answer_column, self._language_column)
        wanted = [name for name in named if name]
        dotted = [name for name in wanted if "." in name]
        any_good = False
        for row in read_rows(self._source, columns=wanted, bad_rows=self.bad_rows):
            try:
                example = self._example(row.reaching(dotted) if dotted else row)
            except _UnusableError as fault:
                self.bad_rows.report(row.place, str(fault))
            else:
                any_good = True
                if example.target is not None:
                    self._written += 1
                    self._identical += example.target.strip() == example.text.strip()
                yield example
        if not any_good:
            raise DataError(
                f"no row of {self._source.name} can be used:\n" + "\n".join(self.bad_rows.notes),
                remedy="Mend the rows, or name the right columns.",
            )

    def _example(self, row: Row) -> Example:
        columns, kind = self._columns, self._label_kind
        if row.blank and kind is not LabelKind.TEXT:
            return Example("", None, (), row.number)
        return Example(
            text=_text(row.values[columns.text], columns.text),
            pair=None if columns.pair is None else _text(row.values[columns.pair], columns.pair),
            labels=() if kind in _NO_LABELS else self._labels(row.values[columns.label]),
            row=row.number,
            file=row.file if len(self._source.files) > 1 else "",
            target=_text(row.values[columns.target], columns.target) if kind is LabelKind.TEXT else None,
            target_language=self._language(row),
        )

    def _language(self, row: Row) -> str | None:
        if self._language_column is None:
            return None
        code = _text(row.values[self._language_column], self._language_column)
        if not LANGUAGE.fullmatch(code):
            raise _UnusableError(
                f"the language {code!a:.40} is no code of letters, digits, - and _, such as de or zh_CN"
            )
        return code

    def _labels(self, value: Any) -> tuple[str, ...]:
        if self._label_kind is LabelKind.SINGLE:
            return (_label(value),)
        if isinstance(value, str):
            value = value.split(self._columns.label_separator) if value.strip() else []
        if not isinstance(value, list):
            raise _UnusableError("its labels are neither a list nor a string")
        return tuple(dict.fromkeys(_label(part) for part in value))


def read_examples(
    source: AnySource,
    columns: Columns | None = None,
    *,
    label_kind: LabelKind = LabelKind.SINGLE,
    on_bad_row: OnBadRow = OnBadRow.ERROR,
) -> ExampleReader:
    """Read examples, in memory that does not grow with their number.

    Args:
        source: a :class:`Source`, or what :meth:`Source.parse` takes.
        columns: ``text``, and ``label`` or ``target``, if not given.

    Raises:
        DataError: there is no such source. Iterating raises it too: for what :func:`read_rows` says, for a row that
            is no example (a text that is empty, no label, ...) unless bad rows are skipped, and if none is left.
    """
    source = source if isinstance(source, Source) else Source.parse(source)
    return ExampleReader(source, columns or Columns(), LabelKind(label_kind), OnBadRow(on_bad_row))


class _UnusableError(ValueError):
    """What is wrong with one row."""


def _text(value: Any, column: str) -> str:
    if value is None:
        raise _UnusableError(f"the column {column!r} holds nothing")
    if not isinstance(value, str):
        raise _UnusableError(f"the column {column!r} holds {type(value).__name__} {value!r:.40}, not a text")
    if not value.strip():
        raise _UnusableError(f"the text in column {column!r} is empty")
    if "\0" in value:
        raise _UnusableError(f"the text in column {column!r} holds a NUL byte")
    if not is_unicode(value):
        raise _UnusableError(f"the text in column {column!r} holds half of a surrogate pair, which is no character")
    return value


def _label(value: Any) -> str:
    if value is None or value == "":
        raise _UnusableError("it has no label")
    if isinstance(value, list):
        raise _UnusableError("it has several labels; set labels to multi if that is meant")
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise _UnusableError(f"its label is {type(value).__name__} {value!r:.40}, neither a string nor a whole number")
    return _text(str(value), "label")
