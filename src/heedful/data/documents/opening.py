"""Opening documents: which format a file has, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from heedful.data.documents.document import Document, Segment, Template
from heedful.data.documents.hypertext import parse_html
from heedful.data.documents.inline import has_letters
from heedful.data.documents.markdown import parse_markdown
from heedful.data.documents.subtitles import parse_srt, parse_vtt
from heedful.data.files import Lines, opened
from heedful.data.source import STANDARD_INPUT, DataFile
from heedful.errors import DataError
from heedful.settings import nearest

MAX_CHARACTERS = 50_000_000
"""A document is held in memory as a whole."""


class DocumentFormat(StrEnum):
    """How a document is written."""

    PLAIN = "plain"
    """One text over all its lines."""
    SRT = "srt"
    VTT = "vtt"
    MARKDOWN = "markdown"
    HTML = "html"


ENDINGS: Mapping[str, DocumentFormat] = {
    ".srt": DocumentFormat.SRT,
    ".vtt": DocumentFormat.VTT,
    ".md": DocumentFormat.MARKDOWN,
    ".markdown": DocumentFormat.MARKDOWN,
    ".html": DocumentFormat.HTML,
    ".htm": DocumentFormat.HTML,
    ".xhtml": DocumentFormat.HTML,
}
"""What the ending of a name tells; plain documents have to be named, for ``.txt`` holds a text a line."""


def _parse_plain(text: str, name: str) -> Template:  # noqa: ARG001 - as for every format
    core = text.strip().removeprefix("\ufeff")
    if not has_letters(core):
        return (text,)
    before, after = text[: text.index(core)], text[text.index(core) + len(core) :]
    return (before, Segment(core, core, str, str), after)


_PARSERS: Mapping[DocumentFormat, Callable[[str, str], Template]] = {
    DocumentFormat.PLAIN: _parse_plain,
    DocumentFormat.SRT: parse_srt,
    DocumentFormat.VTT: parse_vtt,
    DocumentFormat.MARKDOWN: parse_markdown,
    DocumentFormat.HTML: parse_html,
}


def document_format(file: str | Path) -> DocumentFormat | None:
    """The format that the ending of a name tells; None if it tells none."""
    return ENDINGS.get(Path(file).suffix.lower())


def open_document(file: str | Path, format: str | None = None) -> Document:  # noqa: A002 - the plain word
    """Open a file as a document.

    Args:
        file: its path, or ``-`` for standard input.
        format: one of :class:`DocumentFormat`; what the ending tells if not given.

    Raises:
        DataError: the file is missing, is no UTF-8 text, holds nothing to answer, or is malformed; the line is named.
    """
    chosen = format or document_format(file)
    if chosen is None:
        raise DataError(
            f"the name of {file} does not tell which kind of document it is",
            remedy=f"Name the format: {', '.join(DocumentFormat)}.",
        )
    path = None if str(file) == STANDARD_INPUT else Path(file)
    data_file = DataFile(path, None)
    return read_document(_read(data_file), chosen, name=str(data_file))


def read_document(text: str, format: str, *, name: str = "the text") -> Document:  # noqa: A002
    """A document from its text; see :func:`open_document`.

    Args:
        name: what it is called in messages.
    """
    if format not in set(DocumentFormat):
        raise DataError(f"{format!r} is no format of documents", remedy=nearest(format, DocumentFormat))
    document = Document(_PARSERS[DocumentFormat(format)](text, name))
    if not document.segments:
        raise DataError(f"{name} holds no text to be answered", remedy="Check that it is the right file, and complete.")
    return document


def _read(file: DataFile) -> str:
    """The text of a file, its line ends and byte order mark as they are."""
    with opened(file) as stream:
        lines, size = [], 0
        mark = "\ufeff" if stream.peek(3).startswith(b"\xef\xbb\xbf") else ""
        reader = Lines(stream)
        for line in reader:
            size += len(line)
            fault = reader.take_fault()
            if fault is None and size > MAX_CHARACTERS:
                fault = f"is longer than {MAX_CHARACTERS:,} characters, the most that a document may have"
            if fault:
                raise DataError(f"{file}, line {reader.number:,}: {fault}", remedy="Save it as UTF-8 text.")
            lines.append(line)
        return mark + "".join(lines)
