"""Glossaries: which term of a text is to be translated by which."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from heedful.data import DataFile, Format, Source, read_rows
from heedful.data.files import Lines, opened
from heedful.errors import CheckpointError, DataError
from heedful.files import read_json
from heedful.scripts import UNSPACED

MAX_ENTRIES = 100_000
MAX_CHARACTERS = 200
"""Of a term; more is no term but a sentence."""
HEADER = ["source", "target"]
_DELIMITERS = {Format.TSV: "\t", Format.CSV: ","}


@dataclass(frozen=True, slots=True)
class Term:
    """An entry of a glossary."""

    source: str
    target: str
    place: str = ""
    """Where it stands, for people."""


@dataclass(frozen=True, slots=True)
class FoundTerm:
    """A term in a text."""

    start: int
    end: int
    """[start, end) in characters of the text."""
    term: Term


@dataclass(frozen=True)
class Glossary:
    """Terms, each to be translated as its entry says.

    A term is found where words begin and end, whatever the case of its letters; one in capitals, such as "US", in
    capitals only. In scripts that put no blanks between words it is found anywhere. Of terms that begin at one place
    the longest counts, and terms never overlap.
    """

    terms: tuple[Term, ...] = ()
    _by_source: dict[str, Term] = field(init=False, repr=False, default_factory=dict)
    _lengths: dict[str, list[int]] = field(init=False, repr=False, default_factory=dict)
    """For each first character the lengths of terms, the longest first."""

    def __post_init__(self) -> None:
        """Raises DataError if a term has two translations, is empty or too long, or there are too many."""
        if len(self.terms) > MAX_ENTRIES:
            raise DataError(f"a glossary has {len(self.terms):,} entries, and {MAX_ENTRIES:,} are the most it may have")
        lengths: dict[str, set[int]] = defaultdict(set)
        for term in self.terms:
            for side, text in (("source", term.source), ("target", term.target)):
                if not text or len(text) > MAX_CHARACTERS:
                    raise DataError(
                        f"{term.place}: the {side} term has {len(text)} characters", remedy=f"1 to {MAX_CHARACTERS} go."
                    )
            key = _key(term.source)
            known = self._by_source.setdefault(key, term)
            if known.target != term.target:
                raise DataError(
                    f"the glossary has two translations of {term.source!r}: {known.target!r} ({known.place})"
                    f" and {term.target!r} ({term.place})",
                    remedy="Keep one of them.",
                )
            lengths[key[0]].add(len(key))
        self._lengths.update({first: sorted(sizes, reverse=True) for first, sizes in lengths.items()})

    @classmethod
    def of(cls, terms: Iterable[tuple[str, str]]) -> Glossary:
        """From pairs of a term and its translation."""
        numbered = enumerate(terms, 1)
        return cls(tuple(Term(source.strip(), target.strip(), f"entry {row}") for row, (source, target) in numbered))

    @classmethod
    def read(cls, path: str | Path) -> Glossary:
        """Read a glossary from a file.

        Args:
            path: ``.tsv`` or ``.csv`` with two fields a line, after a header ``source`` ``target`` if there is one;
                ``.jsonl`` with ``source`` and ``target``; or ``.json``, one object of terms and their translations.

        Raises:
            DataError: the file cannot be read, or an entry is impossible or stands against another one.
        """
        path = Path(path)
        if path.suffix == ".json":
            rows = list(_object(path))
        else:
            (file,) = Source.parse(path).files
            rows = list(_delimited(file) if file.format in _DELIMITERS else _columns(path))
        if not rows:
            raise DataError(f"the glossary {path} holds no terms")
        for place, *texts in rows:
            if not all(isinstance(text, str) for text in texts):
                raise DataError(f"{place}: a term is no text")
        return cls(tuple(Term(source.strip(), target.strip(), place) for place, source, target in rows))

    def find(self, text: str) -> tuple[FoundTerm, ...]:
        """The terms in ``text``, in order."""
        folded, found, start = _fold(text), [], 0
        while start < len(text):
            end = self._longest(text, folded, start)
            if end is not None:
                term = self._by_source.get(text[start:end]) or self._by_source[folded[start:end]]
                found.append(FoundTerm(start, end, term))
            start = end or start + 1
        return tuple(found)

    def _longest(self, text: str, folded: str, start: int) -> int | None:
        """Where the longest term ends that begins at ``start``."""
        if not begins_word(text, start):
            return None
        sizes = {*self._lengths.get(text[start], ()), *self._lengths.get(folded[start], ())}
        ends: list[int] = sorted((start + size for size in sizes if start + size <= len(text)), reverse=True)
        for end in ends:
            if begins_word(text, end) and (text[start:end] in self._by_source or folded[start:end] in self._by_source):
                return end
        return None


def _delimited(file: DataFile) -> Iterator[tuple[str, str, str]]:
    """Place, source and target of each line with two fields."""
    assert file.format is not None
    source, target = 0, 1
    with opened(file) as stream:
        lines = Lines(stream)
        records = csv.reader(lines, delimiter=_DELIMITERS[file.format], strict=True)
        while True:
            place = f"{file}, line {lines.number + 1:,}"
            try:
                record, fault = next(records, None), lines.take_fault()
            except csv.Error as error:
                record, fault = [], lines.take_fault() or f"is not written properly: {error}"
            if record is None:
                return
            if fault or len(record) not in (0, 2):
                raise DataError(
                    f"{place} {fault or f'has {len(record)} fields'}",
                    remedy="A line holds a term and its translation, and nothing else.",
                )
            names = [name.strip().lower() for name in record]
            if place.endswith(" line 1") and sorted(names) == HEADER:
                source, target = map(names.index, HEADER)
            elif record:
                yield place, record[source], record[target]


def _object(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        entries = read_json(path)
    except CheckpointError as error:
        raise DataError(error.message, remedy="A glossary is one object of terms and their translations.") from error
    for number, (source, target) in enumerate(entries.items(), 1):
        yield f"{path}, entry {number}", source, target


def _columns(path: Path) -> Iterator[tuple[str, str, str]]:
    for row in read_rows(path, columns=HEADER):
        yield row.place, row.values["source"], row.values["target"]


def _key(source: str) -> str:
    """What a term is looked up by: itself where it is in capitals."""
    return source if source.isupper() else _fold(source)


def _fold(text: str) -> str:
    """Small letters, one for each character, so that places stay what they are."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def begins_word(text: str, place: int) -> bool:
    """Whether a word may begin at ``place``, or end there."""
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    return not (before.isalnum() and after.isalnum()) or bool(UNSPACED.match(before) or UNSPACED.match(after))
