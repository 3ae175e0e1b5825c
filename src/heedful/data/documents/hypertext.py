"""HTML: what is read by people is answered; tags, scripts, styles, code and comments stay as they are."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from itertools import accumulate, pairwise

from heedful.data.documents.document import Segment, Template
from heedful.data.documents.inline import Kind, Piece, has_letters, segment_of
from heedful.errors import DataError


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


VOID = _names("area base br col embed hr img input link meta source track wbr")
"""Elements without an end (HTML standard, section 13.1.2)."""
INLINE = _names(
    "a abbr acronym b bdi bdo big br cite code data del dfn em font i img ins kbd label mark math meter output picture"
    " q ruby rb rp rt s samp small source span strike strong sub sup svg time tt u var wbr"
)
"""Elements within a sentence; all others end it."""
KEPT = _names("script style code pre kbd samp var tt math svg textarea template")
"""Elements whose content stays as it is."""
END_OPTIONAL = _names("body caption colgroup dd dt head html li optgroup option p rb rp rt tbody td tfoot th thead tr")
"""Elements whose end tag may be left out (HTML standard, section 13.1.2.4)."""
RAW_TEXT = _names("iframe noembed noframes script style textarea title xmp")
"""Elements in which nothing is a tag (HTML standard, section 13.2.5)."""
ANSWERED_ATTRIBUTES = ("alt", "title")

_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")
_UNENDED = re.compile(r"<[A-Za-z/!?]")


@dataclass(frozen=True)
class _Token:
    """What the parser found, and the stretch of the file that it found it in."""

    kind: Kind
    raw: str
    line: int
    name: str = ""
    is_kept: bool = False
    """An element whose content is to stay, for an opening."""


class _Scanner(HTMLParser):
    """Notes what begins where; nothing is interpreted."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._found: list[tuple[int, _Token]] = []
        try:
            self.feed(text)
            self.close()
        except AssertionError as error:  # what the standard library says of a declaration it does not know
            raise _malformed(name, self.getpos()[0], str(error)) from error
        places = [place for place, _ in self._found] + [len(text)]
        self.tokens = [
            replace(token, raw=text[start:end])
            for (_, token), (start, end) in zip(self._found, pairwise(places), strict=True)
        ]

    def _note(self, kind: Kind, name: str = "", *, is_kept: bool = False) -> None:
        line, column = self.getpos()
        self._found.append((self._starts[line - 1] + column, _Token(kind, "", line, name, is_kept)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = tag in KEPT or ("translate", "no") in attrs
        self._note(Kind.ALONE if tag in VOID else Kind.OPEN, tag, is_kept=kept and tag not in VOID)

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._note(Kind.ALONE, tag)

    def handle_endtag(self, tag: str) -> None:
        self._note(Kind.CLOSE, tag)

    def handle_data(self, _data: str) -> None:
        if not (self._found and self._found[-1][1].kind is Kind.TEXT):  # the parser cuts text as it likes
            self._note(Kind.TEXT)

    def _note_markup(self, _content: str) -> None:
        self._note(Kind.ALONE)

    handle_comment = handle_decl = unknown_decl = handle_pi = _note_markup  # type: ignore[assignment]


def parse_html(text: str, name: str) -> Template:
    """
    Raises:
        DataError: a tag does not end, or elements are not closed in the order they were opened in; the line is named.
    """
    tokens = _Scanner(text, name).tokens
    _check(tokens, name)
    template: list[str | Segment] = []
    run: list[Piece] = []
    for group in _groups(tokens):
        piece = _piece(group)
        if piece is not None:
            run += piece
            continue
        template.append(_segment(run))
        run = []
        template += _tag(group[0]) if len(group) == 1 else ["".join(token.raw for token in group)]
    return (*template, _segment(run))


def _check(tokens: Sequence[_Token], name: str) -> None:
    """Refuse what does not nest; ends that may be left out may be."""
    unclosed: list[_Token] = []
    for token in tokens:
        if token.kind is Kind.TEXT:
            unended = _UNENDED.search(token.raw)
            if unended and not (unclosed and unclosed[-1].name in RAW_TEXT):
                line = token.line + token.raw.count("\n", 0, unended.start())
                raise _malformed(name, line, f"a tag does not end: {token.raw[unended.start() :]!r:.60}")
        elif token.raw.startswith("<!--") and not token.raw.endswith("-->"):
            raise _malformed(name, token.line, "a comment does not end")
        elif token.kind is Kind.OPEN:
            unclosed.append(token)
        elif token.kind is Kind.CLOSE and token.name not in VOID:
            _close(unclosed, token, name)
    for token in unclosed:
        if token.name not in END_OPTIONAL:
            raise _malformed(name, token.line, f"<{token.name}> is not closed")


def _close(unclosed: list[_Token], token: _Token, name: str) -> None:
    while unclosed and unclosed[-1].name != token.name and unclosed[-1].name in END_OPTIONAL:
        unclosed.pop()
    if unclosed and unclosed[-1].name != token.name:
        opened = f"<{unclosed[-1].name}> of line {unclosed[-1].line:,}"
        raise _malformed(name, token.line, f"</{token.name}> comes before the {opened} ends")
    if unclosed:
        unclosed.pop()
    elif token.name not in END_OPTIONAL:
        raise _malformed(name, token.line, f"</{token.name}> closes nothing")


def _groups(tokens: Sequence[_Token]) -> Iterator[Sequence[_Token]]:
    """Tokens one by one; elements whose content stays, whole."""
    start = 0
    while start < len(tokens):
        end = start + 1
        if tokens[start].is_kept:
            depths = accumulate(_depth(token, tokens[start].name) for token in tokens[start:])
            end += next((place for place, depth in enumerate(depths) if depth == 0), 0)
        yield tokens[start:end]
        start = end


def _depth(token: _Token, name: str) -> int:
    if token.name != name:
        return 0
    return {Kind.OPEN: 1, Kind.CLOSE: -1}.get(token.kind, 0)


def _piece(group: Sequence[_Token]) -> list[Piece] | None:
    """A group as pieces of a sentence; None for one that ends it."""
    token = group[0]
    if token.kind is Kind.TEXT:
        return [Piece(Kind.TEXT, (part,), _read(part)) for part in re.split(r"(^\s+|\s+$)", token.raw) if part]
    if token.name and token.name not in INLINE:
        return None
    if token.is_kept:
        return [Piece(Kind.WORD, ("".join(part.raw for part in group),))]
    return [Piece(token.kind, tuple(_tag(token)), name=token.name)]


def _read(raw: str) -> str:
    return re.sub(r"[ \t\r\n\f]+", " ", html.unescape(raw))


def _segment(run: Sequence[Piece]) -> str | Segment:
    raw = "".join(_raw(part) for piece in run for part in piece.template)
    return segment_of(run, raw, escape=_write)


def _raw(part: str | Segment) -> str:
    return part if isinstance(part, str) else part.raw


def _write(text: str) -> str:
    return html.escape(text, quote=False).replace("\xa0", "&nbsp;")


def _tag(token: _Token) -> Iterator[str | Segment]:
    """A tag, with segments in the places of the attributes that people read."""
    written = 0
    if token.name and token.kind is not Kind.CLOSE:
        for attribute in _ATTRIBUTE.finditer(token.raw, len(token.name) + 1):
            value = attribute[3]
            if value and attribute[1].lower() in ANSWERED_ATTRIBUTES:
                inner = html.unescape(value.strip("\"'"))
                if has_letters(inner):
                    yield token.raw[written : attribute.start(3)]
                    yield Segment(inner, value, _write_attribute)
                    written = attribute.end(3)
    yield token.raw[written:]


def _write_attribute(text: str) -> str:
    return f'"{html.escape(text)}"'


def _malformed(name: str, line: int, fault: str) -> DataError:
    return DataError(f"{name}, line {line:,}: {fault}", remedy="Mend the page there.")
