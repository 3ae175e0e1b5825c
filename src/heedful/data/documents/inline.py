"""From text with markup in it to a segment: what every format of documents shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count

from heedful.data.documents.document import Segment, Template, one_line


class Kind(Enum):
    """What a piece is."""

    TEXT = "text"
    OPEN = "open"
    CLOSE = "close"
    ALONE = "alone"
    """Markup that opens nothing, such as a line break or a comment."""
    WORD = "word"
    """What stays as it is, yet is a part of the sentence, such as code."""


@dataclass(frozen=True)
class Piece:
    """A piece of a line or paragraph."""

    kind: Kind
    template: Template
    """How it is written in the file."""
    text: str = ""
    """What it says, where it is text."""
    name: str = ""
    """What an opening and its closing have in common."""

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in it to be read."""
        return not self.text.strip() if self.kind is Kind.TEXT else self.kind is Kind.ALONE


def has_letters(text: str) -> bool:
    """Whether there is something to answer: neither numbers nor punctuation are."""
    return any(character.isalpha() for character in text)


def segment_of(
    pieces: Sequence[Piece],
    raw: str,
    *,
    escape: Callable[[str], str],
    arrange: Callable[[str], str] = one_line,
) -> Segment | str:
    """The segment that ``pieces`` are, or ``raw`` where nothing in them is to be answered.

    Markup at both ends, and around the whole, is no part of its text.
    """
    paired = _paired(pieces)
    if not has_letters("".join(piece.text for piece in paired)):
        template = _template(pieces)
        if all(isinstance(part, str) for part in template):
            return raw
        return Segment("", raw, escape, before=template)
    first, last = _core(paired)
    text, tags = _tagged(paired[first:last])
    inner = text.strip()
    start = text.index(inner)
    return Segment(
        inner,
        raw,
        escape,
        arrange,
        tags,
        before=(*_template(paired[:first]), text[:start]),
        after=(text[start + len(inner) :], *_template(paired[last:])),
    )


def _template(pieces: Sequence[Piece]) -> Template:
    return tuple(part for piece in pieces for part in piece.template)


def _paired(pieces: Sequence[Piece]) -> list[Piece]:
    """``pieces`` with openings and closings that lack the other one taken for markup that stands alone.

    The names of the others become numbers, so that each closing has the name of its own opening.
    """
    paired = [replace(piece, kind=Kind.ALONE) if piece.kind in (Kind.OPEN, Kind.CLOSE) else piece for piece in pieces]
    unclosed: list[int] = []
    for place, piece in enumerate(pieces):
        if piece.kind is Kind.OPEN:
            unclosed.append(place)
        elif piece.kind is Kind.CLOSE and any(pieces[opened].name == piece.name for opened in unclosed):
            while pieces[opened := unclosed.pop()].name != piece.name:
                pass
            for end in (opened, place):
                paired[end] = replace(pieces[end], name=str(opened))
    return paired


def _core(pieces: Sequence[Piece]) -> tuple[int, int]:
    """Where the text begins and ends within pieces."""
    first, last = 0, len(pieces)
    while True:
        head, tail = pieces[first], pieces[last - 1]
        if head.is_blank:
            first += 1
        elif tail.is_blank:
            last -= 1
        elif (head.kind, tail.kind, head.name) == (Kind.OPEN, Kind.CLOSE, tail.name):
            first, last = first + 1, last - 1
        else:
            return first, last


def _tagged(pieces: Sequence[Piece]) -> tuple[str, dict[str, Template]]:
    """The text with tags in the places of markup, and what they stand for."""
    plain = "".join(piece.text for piece in pieces)
    numbers = (str(number) for number in count(1) if f"{number}>" not in plain and f"{number}/>" not in plain)
    number_of: dict[str, str] = {}
    text: list[str] = []
    tags: dict[str, Template] = {}
    for piece in pieces:
        if piece.kind is Kind.TEXT:
            text.append(piece.text)
            continue
        if piece.kind is Kind.OPEN:
            number_of[piece.name] = next(numbers)
            tag = f"<g{number_of[piece.name]}>"
        elif piece.kind is Kind.CLOSE:
            tag = f"</g{number_of[piece.name]}>"
        else:
            tag = f"<x{next(numbers)}/>"
        tags[tag] = piece.template
        text.append(tag)
    return "".join(text), tags
