"""Rows of TMX files, the exchange format of translation memories (TMX 1.4b, LISA OSCAR 2005)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from xml.parsers import expat

from heedful.data.bad_rows import BadRows
from heedful.data.files import MAX_LINE_BYTES, opened
from heedful.data.rows import Row
from heedful.data.source import DataFile
from heedful.errors import DataError
from heedful.settings import nearest

CHUNK = 2**16
"""Bytes that are parsed at a time."""
_NATIVE_CODES = frozenset({"bpt", "ept", "it", "ph", "ut"})
"""Elements in a segment that hold markup of another format, and no text (TMX 1.4b, section "Inline elements")."""


def read_tmx(file: DataFile, columns: Collection[str], bad_rows: BadRows) -> Iterator[Row]:
    """Translation units, a row each; ``columns`` are languages: ``de`` is found as ``de``, ``DE`` or ``de-AT``.

    Of several variants in one language the first counts. Markup within segments is left out. The file is read in
    pieces. It may name a document type, but declare no entities, and nothing outside of it is ever read.

    Raises:
        DataError: the file is not well-formed, declares or uses entities of its own, or is no TMX.
    """
    with opened(file) as stream:
        units, at_end = _Units(file), False
        while not at_end:
            chunk = stream.read(CHUNK)
            at_end = not chunk
            for number, texts, fault in units.parse(chunk, at_end):
                row = Row(str(file), number, _in_columns(texts, columns))
                missing = [name for name in columns if name not in row.values]
                absent = f"has no language {missing[0]!r}; {nearest(missing[0], texts)}" if missing else None
                if fault or absent:
                    bad_rows.report(row.place, fault or absent or "")
                else:
                    yield row


_Unit = tuple[int, dict[str, str], str | None]
"""The line, the texts by language, and what is wrong."""


class _RefusedError(Exception):
    """What is wrong with the file."""


class _Units:
    """A parser of TMX, and where it is."""

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self._done: list[_Unit] = []
        self._line = 0
        self._texts: dict[str, str] = {}
        self._fault: str | None = None
        self._language = ""
        self._segment: list[str] | None = None
        self._length = 0
        self._codes = 0  # how deep in native codes
        self._rooted = False
        self._fed = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._entity
        self._parser.SkippedEntityHandler = self._entity

    def parse(self, chunk: bytes, at_end: bool) -> list[_Unit]:
        """The units that end in ``chunk``, which follows those before."""
        fault, self._done = None, []
        try:
            self._parser.Parse(chunk, at_end)
        except expat.ExpatError as error:
            fault = f"is not well-formed XML: {expat.ErrorString(error.code)}"
        except (ValueError, LookupError) as error:
            fault = f"is in an encoding that cannot be read: {error}"
        except _RefusedError as error:
            fault = str(error)
        self._fed += len(chunk)
        if not fault and self._fed - self._parser.CurrentByteIndex > MAX_LINE_BYTES:
            fault = f"holds a tag of more than {MAX_LINE_BYTES:,} bytes"
        if fault:
            raise DataError(
                f"{self._file}, line {self._parser.CurrentLineNumber:,}: the file {fault}",
                remedy="Mend the file, or export it again, as UTF-8.",
            )
        return self._done

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self._rooted and name != "tmx":
            raise _RefusedError(f"is no TMX: its outermost element is <{name:.40}>, not <tmx>")
        self._rooted = True
        if name == "tu":
            self._line, self._texts, self._fault = self._parser.CurrentLineNumber, {}, None
            self._length = 0
        elif name == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
            if not self._language:
                self._fault = "has a variant that does not say its language"
        elif name == "seg":
            self._segment = []
        elif name in _NATIVE_CODES:
            self._codes += 1

    def _end(self, name: str) -> None:
        if name == "seg" and self._segment is not None:
            self._texts.setdefault(self._language, "".join(self._segment))
            self._segment = None
        elif name == "tu":
            self._done.append((self._line, self._texts, self._fault))
        elif name in _NATIVE_CODES:
            self._codes -= 1

    def _text(self, text: str) -> None:
        if self._segment is None or self._codes:
            return
        self._length += len(text)
        if self._length <= MAX_LINE_BYTES:
            self._segment.append(text)
        else:
            self._fault = f"has more than {MAX_LINE_BYTES:,} characters, the most that a row may have"

    def _entity(self, name: str, *_: Any) -> None:
        raise _RefusedError(f"has an entity {name!r} of its own, which could stand for anything")


def _in_columns(texts: Mapping[str, str], columns: Collection[str]) -> dict[str, str]:
    """Texts by column, where there are; by language as the file writes it if no column is named."""
    if not columns:
        return dict(texts)
    names = {name: _spelt(name, texts) for name in columns}
    return {name: texts[found] for name, found in names.items() if found is not None}


def _spelt(language: str, present: Collection[str]) -> str | None:
    """How a language is spelt: as it stands, else in other letters, else with a region or script; None if not there."""
    wanted = _canonical(language)
    return next(
        (name for name in present if name == language),
        next(
            (name for name in present if _canonical(name) == wanted),
            next((name for name in present if _canonical(name).startswith(f"{wanted}-")), None),
        ),
    )


def _canonical(language: str) -> str:
    return language.lower().replace("_", "-")
