"""Markup inside of a text: taken out before the text is read, and put back around the words that it belongs to.

An element goes around the words of the answer that are aligned with the words it stood around, as browsers' translators
do; where these are not neighbours, it goes around each run of them. So what was well formed is well formed again,
whatever the alignment says. Elements whose words have no counterpart, and what stands between words, such as a line
break, go beside the counterpart of the word that they stood beside.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from heedful.data.documents.hypertext import VOID
from heedful.tasks.text_to_text.answer import Alignment, TextAnswer
from heedful.tasks.text_to_text.trust.words import word_spans
from heedful.text.pieces import Span

TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][\w:.-]{0,80})(?:\s[^<>]{0,4000})?(?P<void>/?)>")
MAX_DEPTH = 100
"""Of elements within elements around a word; those that lie deeper are put back without words."""


@dataclass(frozen=True, slots=True)
class Element:
    """A pair of tags around a part of the text without markup."""

    opening: str
    closing: str
    start: int
    end: int
    """[start, end), what it covers, in characters of the text without markup."""
    numbers: tuple[int, int]
    """Of its tags among all tags of the text: an element lies in another one if its tags do."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands at one place of the text without markup and covers nothing of it."""

    markup: str
    place: int
    blank_before: bool = False
    blank_after: bool = False


@dataclass(frozen=True, slots=True)
class _Unclosed:
    """A tag whose element is still open."""

    number: int
    name: str
    start: int
    end: int
    """[start, end), where it stands in the text itself."""
    place: int
    """Where it stands in the text without markup."""
    fixed: int


@dataclass(frozen=True)
class MarkedText:
    """A text without its markup, and the markup."""

    text: str
    elements: tuple[Element, ...]
    """In the order of their opening tags."""
    marks: tuple[Mark, ...]

    def put_back_into(self, answer: TextAnswer) -> TextAnswer:
        """An answer with the markup put back by its alignment, which stays one of the words without markup."""
        if not self.elements and not self.marks:
            return answer
        return replace(
            answer,
            text=self.put_back(answer.text, answer.alignment),
            alternatives=tuple(self.put_back(text, ()) for text in answer.alternatives),
        )

    def put_back(self, answer: str, alignment: Alignment) -> str:
        """Put the markup into an answer.

        Args:
            answer: what was written for :attr:`text`.
            alignment: between the words of both; by their places in the texts where there is none.
        """
        source, target = word_spans(self.text), word_spans(answer)
        counterparts: list[list[int]] = [[] for _ in source]
        links = [(one, other) for one, other in alignment if one < len(source) and other < len(target)]
        links = links or _diagonal(len(source), len(target))
        for one, other in links:
            counterparts[one].append(other)
        answered = _answered_paths(_paths(self.elements, source), links, len(target))
        insertions = [*_tags(self.elements, self.text, answer, target, answered)]
        lost = set(range(len(self.elements))).difference(*answered)
        marks = sorted([*self.marks, *_without_words(self.elements, lost)], key=lambda mark: mark.place)
        ends = [end for _, end in source]
        for mark in marks:
            place = _place(mark, bisect_right(ends, mark.place), source, target, counterparts, answer)
            insertions.append((place, 1, _with_blanks(mark, answer, place)))
        pieces, done = [], 0
        for place, _, markup in sorted(insertions, key=lambda entry: entry[:2]):  # stable: the rest stays in order
            pieces += [answer[done:place], markup]
            done = place
        return "".join([*pieces, answer[done:]])


def take_out(text: str, others: Sequence[Span] = ()) -> MarkedText:
    """Take the tags out of a text, and what stands at ``others``.

    An element without text and a tag without its partner are marks, as what stands at ``others`` is.
    """
    tags: list[tuple[int, int, re.Match[str] | None]] = [(*match.span(), match) for match in TAG.finditer(text)]
    starts, ends = [start for start, *_ in tags], [0, *(end for _, end, _ in tags)]
    apart = [(start, end, None) for start, end in others if ends[bisect_left(starts, end)] <= start]
    taking = _Taking(text)
    for number, (start, end, match) in enumerate(sorted([*tags, *apart], key=lambda entry: entry[0])):
        taking.read_to(start, end)
        if match is None or match["void"] or match["name"].lower() in VOID:
            taking.mark(start, end)
        elif match["close"]:
            taking.close(number, start, end, match["name"].lower())
        else:
            taking.open(number, start, end, match["name"].lower())
    return taking.done()


class _Taking:
    """A text whose tags are being taken out."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._plain: list[str] = []
        """Characters."""
        self._last_word = 0
        """Behind the last of them that is no blank."""
        self._read = 0
        self._fixed = 0
        """What is plain up to here stays, since markup refers to it."""
        self._elements: list[Element] = []
        self._marks: list[tuple[int, Mark]] = []
        """With their places in the text itself."""
        self._unclosed: list[_Unclosed] = []
        self._unclosed_names: Counter[str] = Counter()

    def read_to(self, start: int, end: int) -> None:
        """Keep the text before [start, end), and leave that out."""
        kept = self._text[self._read : start]
        if words := kept.rstrip():
            self._last_word = len(self._plain) + len(words)
        self._plain += kept
        self._read = end

    def mark(self, start: int, end: int) -> None:
        """What stands at [start, end) is a mark; of the blanks around it those stay that the rest needs."""
        before, after = "".join(self._plain[-1:]), self._text[end : end + 1]
        both = (before.isspace() or not self._plain) and after.isspace()
        if not after.isalnum() and not both:
            del self._plain[max(self._fixed, self._last_word) :]  # no blank before a stop
        self._add_mark(start, end, len(self._plain))
        self._fixed = len(self._plain)
        if both:
            self._read += 1  # one is enough where two would be left
        elif before.isalnum() and after.isalnum():
            self._plain += " "  # and one is needed where two words would meet

    def open(self, number: int, start: int, end: int, name: str) -> None:
        """A tag opens an element."""
        place = len(self._plain)
        self._unclosed.append(_Unclosed(number, name, start, end, place, self._fixed))
        self._unclosed_names[name] += 1
        self._fixed = place

    def close(self, number: int, start: int, end: int, name: str) -> None:
        """A tag closes an element; those that it should have closed before are never closed."""
        if not self._unclosed_names[name]:
            self.mark(start, end)
            return
        crossed = []
        while (first := self._unclosed.pop()).name != name:
            crossed.append(first)
        self._unclosed_names.subtract(tag.name for tag in (*crossed, first))
        if self._last_word <= first.place and not crossed:
            while self._marks and self._marks[-1][0] >= first.start:
                self._marks.pop()
            while self._elements and self._elements[-1].numbers[0] > first.number:
                self._elements.pop()
            self._fixed = first.fixed
            self.mark(first.start, end)
            return
        for tag in crossed:
            self._add_mark(tag.start, tag.end, tag.place)
        self._fixed = len(self._plain)
        opening, closing = self._text[first.start : first.end], self._text[start:end]
        self._elements.append(Element(opening, closing, first.place, self._fixed, (first.number, number)))

    def _add_mark(self, start: int, end: int, place: int) -> None:
        blanks = _is_blank(self._text, start - 1), _is_blank(self._text, end)
        self._marks.append((start, Mark(self._text[start:end], place, *blanks)))

    def done(self) -> MarkedText:
        """The text without markup, and the markup."""
        for tag in self._unclosed:
            self._add_mark(tag.start, tag.end, tag.place)
        return MarkedText(
            "".join(self._plain) + self._text[self._read :],
            tuple(sorted(self._elements, key=lambda element: element.numbers)),
            tuple(mark for _, mark in sorted(self._marks, key=lambda entry: entry[0])),
        )


def _is_blank(text: str, place: int) -> bool:
    """Whether there is white space at ``place``, or no text any more."""
    return not 0 <= place < len(text) or text[place].isspace()


def _paths(elements: Sequence[Element], words: Sequence[Span]) -> list[tuple[int, ...]]:
    """For each word the elements that cover some of it, the outermost first; both are in the order of the text."""
    paths, around, begun = [], list[int](), 0
    for start, end in words:
        while begun < len(elements) and elements[begun].start < end:
            around.append(begun)
            begun += 1
        around = [number for number in around if elements[number].end > start]
        paths.append(tuple(around[:MAX_DEPTH]))
    return paths


def _diagonal(sources: int, targets: int) -> list[tuple[int, int]]:
    """An alignment by place: the first word with the first, the last with the last."""
    links = [(target * sources // targets, target) for target in range(targets) if sources]
    left = set(range(sources)).difference(source for source, _ in links) if targets else ()
    return links + [(source, source * targets // sources) for source in sorted(left)]


def _answered_paths(
    paths: Sequence[tuple[int, ...]], links: Sequence[tuple[int, int]], count: int
) -> list[tuple[int, ...]]:
    """For each word of the answer the elements that it stands in, the outermost first.

    They are those of most of its counterparts; of a word without any, those that its neighbours share.
    """
    votes: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(count)]
    for one, other in links:
        votes[other][paths[one]] += 1
    answered = [max(vote, key=lambda path: (vote[path], path)) if vote else None for vote in votes]
    following: list[tuple[int, ...]] = [()]
    for path in reversed(answered):
        following.append(following[-1] if path is None else path)
    filled: list[tuple[int, ...]] = []
    for path, after in zip(answered, reversed(following), strict=False):
        before = filled[-1] if filled else ()
        filled.append(before[: _shared(before, after)] if path is None else path)
    return filled


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many entries both begin with."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _tags(
    elements: Sequence[Element], text: str, answer: str, words: Sequence[Span], paths: Sequence[tuple[int, ...]]
) -> Iterator[tuple[int, int, str]]:
    """Where each tag goes, closing ones (0) before opening ones (2).

    An element whose edge is a letter or digit leaves stops and brackets at that edge of the answer's word outside.
    """
    for number in range(len(words) + 1):
        before = paths[number - 1] if number else ()
        after = paths[number] if number < len(words) else ()
        shared = _shared(before, after)
        place = 0
        for element in (elements[each] for each in reversed(before[shared:])):
            start, end = words[number - 1]
            is_tight = text[element.end - 1].isalnum()
            place = max(place, _core(answer, (start, end))[1] if is_tight else end)
            yield place, 0, element.closing
        place = 0
        for element in (elements[each] for each in after[shared:]):
            is_tight = text[element.start].isalnum()
            place = max(place, _core(answer, words[number])[0] if is_tight else words[number][0])
            yield place, 2, element.opening


def _core(text: str, word: Span) -> Span:
    """A word without the stops and brackets at its ends; all of it where it is nothing else."""
    letters = [place for place in range(*word) if text[place].isalnum()]
    return (letters[0], letters[-1] + 1) if letters else word


def _without_words(elements: Sequence[Element], lost: set[int]) -> Iterator[Mark]:
    """Each outermost element that no word of the answer stands in, with the elements in it, as one mark."""
    around: list[tuple[int, str]] = []
    """Number of the closing tag, and the tag, of the elements that are being written out."""
    markup, place = "", 0
    for element in (elements[number] for number in sorted(lost)):
        while around and around[-1][0] < element.numbers[0]:
            markup += around.pop()[1]
        if not around:
            if markup:
                yield Mark(markup, place)
            markup, place = "", element.start
        markup += element.opening
        around.append((element.numbers[1], element.closing))
    if around:
        yield Mark(markup + "".join(closing for _, closing in reversed(around)), place)


def _place(
    mark: Mark,
    before: int,
    source: Sequence[Span],
    target: Sequence[Span],
    counterparts: Sequence[Sequence[int]],
    answer: str,
) -> int:
    """Where a mark goes: behind the counterpart of the word that it hangs on, or before that of the next word.

    Args:
        before: words of the source that end before it.
    """
    if before < len(source) and source[before][0] < mark.place and counterparts[before]:
        return _core(answer, target[max(counterparts[before])])[1]
    if before in (0, len(source)):
        return len(answer.rstrip()) if before else 0
    if mark.blank_after and not mark.blank_before and counterparts[before - 1]:
        return target[max(counterparts[before - 1])][1]
    if before < len(source) and counterparts[before]:
        return target[min(counterparts[before])][0]
    if before and counterparts[before - 1]:
        return target[max(counterparts[before - 1])][1]
    return target[before * len(target) // len(source)][0] if target else len(answer)


def _with_blanks(mark: Mark, answer: str, place: int) -> str:
    """The mark with the blanks that it had, where the answer has none."""
    before = mark.blank_before and place > 0 and not answer[place - 1].isspace()
    after = mark.blank_after and place < len(answer) and not answer[place].isspace()
    return " " * before + mark.markup + " " * after
