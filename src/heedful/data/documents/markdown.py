"""Markdown: paragraphs, headings and cells of tables are answered; code, front matter, HTML blocks and addresses stay.

markdown-it-py reads it as CommonMark with tables, so that what is text and what is not is decided by the standard.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from markdown_it import MarkdownIt
from markdown_it.token import Token

from heedful.data.documents.document import Segment, Template, one_line
from heedful.data.documents.hypertext import VOID
from heedful.data.documents.inline import Kind, Piece, has_letters, segment_of

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_FRONT_MATTER = re.compile(r"\ufeff?(---|\+\+\+)[ \t]*\r?\n(?:.*?\r?\n)??\1[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_KEPT_TEXT = re.compile(r"(\[\^[^\]\s]+\]:?|^\[[ xX]\](?=\s)|^\[![A-Za-z]+\]|\{:? ?[#.][^{}]*\}$)")
"""What CommonMark takes for text and others do not: footnotes, boxes to tick, kinds of notes, names of headings."""
_OWN_LINE = re.compile(r"\[\^[^\]\s]+\]:|\[![A-Za-z]+\]$")
"""Of these, what begins a line, or is all of it."""
_HTML_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)[^>]*?(/?)>")

_SPECIAL = re.compile(r"[`*\[\]~]|\\(?=[!-/:-@\[-`{-~]|$)|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=#?\w+;)")
"""What would be markup within a line (CommonMark 0.31.2, section 6)."""
_BLOCK_START = re.compile(r"(?:#|>|[-+](?=\s|$)|=+\s*$|-{2,}\s*$)")
_NUMBER_START = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_CLOSING_HASHES = re.compile(r"(?<=\s)#(?=#*\s*$)")


def parse_markdown(text: str, name: str) -> Template:  # noqa: ARG001 - as for every format; all text is Markdown
    """The template of a text; there is no malformed Markdown."""
    front = _FRONT_MATTER.match(text)
    start = front.end() if front else 0
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    # Addresses stay as they are written: neither encoded anew nor taken for text because they look dangerous.
    reader.normalizeLink = lambda url: url  # type: ignore[method-assign]
    reader.validateLink = lambda _: True  # type: ignore[method-assign,assignment]
    places = _Places(text, start)
    template: list[str | Segment] = [text[:start]]
    written = start
    in_cell = False
    for token in reader.parse(text[start:]):
        in_cell = token.type in ("th_open", "td_open") or (in_cell and token.type == "inline")
        found = places.find(token, in_cell=in_cell) if token.type == "inline" else None
        if found is None or found[0] < written:
            continue
        begin, end, breaks = found
        pieces = list(_pieces(token.children or [], breaks, in_cell=in_cell))
        escape = partial(_escape, in_cell=in_cell)
        template += [text[written:begin], segment_of(pieces, text[begin:end], escape=escape, arrange=_arrange)]
        written = end
    return (*template, text[written:])


class _Places:
    """Finds what the parser read in the text that it read."""

    def __init__(self, text: str, start: int) -> None:
        lines = _LINE.findall(text[start:])
        self._starts = [start]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        self._lines = [line.rstrip("\r\n").replace("\0", "\ufffd") for line in lines]
        self._ends = [line[len(line.rstrip("\r\n")) :] for line in lines]
        self._cell = (0, 0)
        """Line and column after the latest cell of a table."""

    def find(self, token: Token, *, in_cell: bool) -> tuple[int, int, list[str]] | None:
        """Begin and end of an inline token, and what stands between its lines; None if it is not to be found."""
        first = token.map[0] if token.map else 0
        contents = [line.strip(" \t") for line in token.content.split("\n")]
        columns = []
        for number, content in enumerate(contents, first):
            if in_cell:
                content = content.replace("|", r"\|")  # noqa: PLW2901 - as it stands in the file
                after = self._cell[1] if self._cell[0] == number else 0
                column = self._lines[number].find(content, after)
                self._cell = (number, column + len(content))
            else:
                column = self._lines[number].rfind(content) if number < len(self._lines) else -1
            if column < 0:
                return None
            columns.append((self._starts[number] + column, len(content), self._lines[number][:column]))
        breaks = [f"{self._ends[first + row]}{columns[row + 1][2]}" for row in range(len(columns) - 1)]
        return columns[0][0], columns[-1][0] + columns[-1][1], breaks


def _pieces(tokens: Sequence[Token], breaks: Sequence[str], *, in_cell: bool) -> Iterator[Piece]:
    """Tokens as pieces, each written anew by its meaning."""
    lines, opened = iter(breaks), list[Token]()
    in_autolink = False
    for place, token in enumerate(tokens):
        if token.markup == "autolink":
            in_autolink = token.type == "link_open"
        elif in_autolink:
            yield Piece(Kind.WORD, (f"<{token.content}>",))
        elif token.type == "softbreak":
            stays = any(_OWN_LINE.match(other.content) for other in tokens[place - 1 : place + 2])
            line_end = next(lines, "")
            yield Piece(Kind.ALONE, (line_end,)) if stays else Piece(Kind.TEXT, (" ",), " ")
        elif token.type == "hardbreak":
            yield Piece(Kind.ALONE, (f"\\{next(lines, '')}",))
        elif token.nesting == 1:
            opened.append(token)
            yield Piece(Kind.OPEN, (_mark(token),), name=token.tag)
        elif token.nesting == -1:
            closing = (_mark(token),) if token.tag != "a" else ("](", *_address("href", opened[-1]), ")")
            yield Piece(Kind.CLOSE, closing, name=opened.pop().tag)
        else:
            yield from _childless(token, in_cell=in_cell)


def _childless(token: Token, *, in_cell: bool) -> Iterator[Piece]:
    if token.type == "code_inline":
        yield Piece(Kind.WORD, (_code(token, in_cell=in_cell),))
    elif token.type == "html_inline":
        yield _html_piece(token.content)
    elif token.type == "image":
        alt = "".join(child.content for child in token.children or [])
        described = Segment(alt, _escape(alt), _escape) if has_letters(alt) else _escape(alt)
        yield Piece(Kind.WORD, ("![", described, "](", *_address("src", token), ")"))
    else:
        for place, part in enumerate(_KEPT_TEXT.split(token.content)):
            if part:
                yield Piece(Kind.ALONE, (part,)) if place % 2 else Piece(Kind.TEXT, (part,), part)


def _mark(token: Token) -> str:
    """Asterisks instead of underscores: they are markup within words too, where an answer may have put them."""
    return "[" if token.tag == "a" else token.markup.replace("_", "*")


def _address(attribute: str, token: Token) -> Template:
    """Where a link or picture leads, and its title."""
    url = str(token.attrs[attribute])
    plain = re.fullmatch(r"[^\s<>()\\&]+", url)
    address = url if plain else "<" + re.sub(r"([\\<>&])", r"\\\1", url) + ">"
    title = token.attrs.get("title")
    if not title:
        return (address,)
    written = _escape_title(str(title))
    return (f'{address} "', Segment(str(title), written, _escape_title) if has_letters(written) else written, '"')


def _escape_title(text: str) -> str:
    return re.sub(r'(["\\&])', r"\\\1", text)


def _code(token: Token, *, in_cell: bool) -> str:
    content, marks = token.content, token.markup
    if content[:1] in (" ", "`") or content[-1:] in (" ", "`"):
        content = f" {content} "
    return f"{marks}{content.replace('|', chr(92) + '|') if in_cell else content}{marks}"


def _html_piece(content: str) -> Piece:
    tag = _HTML_TAG.fullmatch(content)
    if tag is None or tag[3] or tag[2].lower() in VOID:
        return Piece(Kind.ALONE, (content,))
    return Piece(Kind.CLOSE if tag[1] else Kind.OPEN, (content,), name=f"<{tag[2].lower()}")


def _arrange(answer: str) -> str:
    """``answer`` on one line, and blanks outside of pairs of tags: ``** bold **`` is no markup."""
    outside = re.sub(r"((?:<g\d+>)+)\s+", r" \1", re.sub(r"\s+((?:</g\d+>)+)", r"\1 ", answer))
    return one_line(outside)


def _escape(text: str, *, in_cell: bool = False) -> str:
    """``text`` so that it means nothing but itself, wherever in a line it comes to stand."""
    written = _SPECIAL.sub(lambda found: f"\\{found.group()}", text)
    written = _CLOSING_HASHES.sub(r"\\#", _NUMBER_START.sub(r"\1\\\2", written))
    if _BLOCK_START.match(written):
        written = f"\\{written}"
    return written.replace("|", r"\|") if in_cell else written
