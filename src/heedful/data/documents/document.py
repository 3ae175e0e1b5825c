"""A document as what is to be answered and what stands around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from heedful.errors import RequestError

Template: TypeAlias = tuple[Union[str, "Segment"], ...]
"""What stays as it is, and what is answered, in the order of the file."""


def one_line(answer: str) -> str:
    """``answer`` with a blank for each stretch of white space, and none at its ends; no-break spaces stay."""
    return re.sub(r"[ \t\n\v\f\r]+", " ", answer).strip()


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of a document that is answered as a whole.

    Inline markup stands in its text as ``<g1>…</g1>``, and what stands alone, such as a picture or code, as ``<x2/>``.
    """

    text: str
    """What is to be answered; empty where there is nothing but markup with segments of its own."""
    raw: str
    """How it stands in the file."""
    escape: Callable[[str], str]
    """How text between tags is written in the file."""
    arrange: Callable[[str], str] = one_line
    """How an answer is laid out before it is written."""
    tags: Mapping[str, Template] = field(default_factory=dict)
    """What the tags stand for: ``<g1>``, ``</g1>``, ``<x2/>``."""
    before: Template = ()
    """Markup and white space ahead of the text."""
    after: Template = ()

    @property
    def inner(self) -> Iterator[Segment]:
        """Segments inside of the markup: descriptions of pictures, titles of links."""
        for template in (self.before, *self.tags.values(), self.after):
            for part in template:
                if isinstance(part, Segment):
                    yield part
                    yield from part.inner

    @property
    def plain(self) -> str:
        """The text without tags."""
        return one_line(self.split_at_tags().sub(" ", self.text)) if self.tags else self.text

    def split_at_tags(self) -> re.Pattern[str]:
        """What finds its tags, and splits a text at them."""
        return re.compile(f"({'|'.join(map(re.escape, self.tags))})")


class Document:
    """A document: its segments, and the way back from their answers to a document."""

    def __init__(self, template: Template) -> None:
        self._template = template
        outer = [part for part in template if isinstance(part, Segment)]
        everything = [segment for part in outer for segment in (part, *part.inner)]
        self._asked = tuple(segment for segment in everything if segment.text)

    @property
    def segments(self) -> tuple[str, ...]:
        """What is to be answered, in order."""
        return tuple(segment.text for segment in self._asked)

    @property
    def text(self) -> str:
        """The segments as one plain text, a paragraph each."""
        return "\n\n".join(segment.plain for segment in self._asked)

    def fill(self, answers: Sequence[str]) -> str:
        """The document with ``answers`` in the places of its segments; all else is as it was, byte for byte.

        A segment whose answer is blank, or the segment itself, stays as it was. Tags come back well formed whatever an
        answer did to them: what it opens is closed, a tag that comes twice is left out, and so is a pair that it
        lost; what stands alone and was lost stands at the end.

        Raises:
            RequestError: there is not one answer for each segment.
        """
        if len(answers) != len(self._asked):
            raise RequestError(f"{len(answers):,} answers do not fill {len(self._asked):,} segments")
        pairs = zip(self._asked, answers, strict=True)
        changed = {segment: answer for segment, answer in pairs if answer.strip() and answer != segment.text}
        return _render(self._template, changed)


def _render(template: Template, changed: Mapping[Segment, str]) -> str:
    return "".join(part if isinstance(part, str) else _render_segment(part, changed) for part in template)


def _render_segment(segment: Segment, changed: Mapping[Segment, str]) -> str:
    if changed.keys().isdisjoint((segment, *segment.inner)):
        return segment.raw
    answer = segment.arrange(changed.get(segment, segment.text))
    template = (*segment.before, *_with_markup(segment, answer), *segment.after)
    return _render(template, changed)


def _with_markup(segment: Segment, answer: str) -> Iterator[str | Segment]:
    """``answer`` as it is written, its tags replaced by what they stand for."""
    if not segment.tags:
        yield segment.escape(answer)
        return
    lost = dict(segment.tags)
    unclosed: list[str] = []
    for part in segment.split_at_tags().split(answer):
        if part not in segment.tags:
            yield segment.escape(part)
        elif part in lost and not part.startswith("</"):
            yield from lost.pop(part)
            if not part.endswith("/>"):
                unclosed.append(part)
        elif _opening(part) in unclosed:
            while unclosed[-1] != _opening(part):  # pairs that cross: the inner one ends here
                yield from lost.pop(_closing(unclosed.pop()))
            yield from lost.pop(_closing(unclosed.pop()))
    while unclosed:
        yield from lost.pop(_closing(unclosed.pop()))
    for tag, meant in lost.items():
        if tag.endswith("/>"):
            yield from (" ", *meant)


def _opening(tag: str) -> str:
    return tag.replace("</", "<")


def _closing(tag: str) -> str:
    return tag.replace("<", "</")
