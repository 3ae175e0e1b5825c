"""A text in pieces, and every character between them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[int, int]
"""Where a piece begins and ends, in characters of the whole text."""

CJK = re.compile("[⺀-〿぀-ㄯㆠ-㇣ㇰ-㏿㐀-䶿一-鿿豈-﫿︰-﹏！-ﾟ\U00020000-\U0003ffff]")
"""Characters of Chinese and Japanese, their punctuation too: they are written without blanks. Korean is not."""
_CLAUSES = re.compile(r"(?<=[,;:–—])\s+|(?<=[，、；：。！？])\s*")
"""Where a sentence may be taken apart; the strongest places first."""
_WORDS = re.compile(rf"\s+|(?<={CJK.pattern})|(?={CJK.pattern})")
_JOINERS = "\u200d"
"""What ties characters to one another besides combining marks."""


@dataclass(frozen=True, slots=True)
class SplitText:
    """A text and its pieces, in order; what stands between them is white space or nothing."""

    text: str
    spans: tuple[Span, ...]

    @property
    def pieces(self) -> tuple[str, ...]:
        """What is to be answered; none is empty."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def spaces(self) -> tuple[str, ...]:
        """What stands before, between and after the pieces: one more than there are pieces."""
        edges = [0, *(edge for span in self.spans for edge in span), len(self.text)]
        return tuple(self.text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))

    def replace(self, answers: Sequence[str]) -> SplitText:
        """The text with an answer in place of each piece; with the pieces themselves, the very text.

        All white space stays, but for a single blank between two sentences: it goes where the answers are in Chinese
        or Japanese and the text is not, and comes the other way round.
        """
        spaces = list(self.spaces)
        for number, (piece, answer) in enumerate(zip(self.pieces[:-1], answers[:-1], strict=True), 1):
            was_cjk, is_cjk = ends_in_cjk(piece), ends_in_cjk(answer)
            if was_cjk != is_cjk and spaces[number] == (" " if is_cjk else ""):
                spaces[number] = "" if is_cjk else " "
        return _assemble(spaces, answers)


def in_a_row(pieces: Sequence[str]) -> SplitText:
    """Pieces with a blank after each, but for those in Chinese or Japanese."""
    between = ["" if ends_in_cjk(piece) else " " for piece in pieces[:-1]]
    return _assemble(["", *between, ""], pieces)


def _assemble(spaces: Sequence[str], pieces: Sequence[str]) -> SplitText:
    """A text of white space and pieces by turns."""
    spans, place = [], len(spaces[0])
    for piece, space in zip(pieces, spaces[1:], strict=True):
        spans.append((place, place + len(piece)))
        place += len(piece) + len(space)
    between = (part for pair in zip(pieces, spaces[1:], strict=True) for part in pair)
    return SplitText("".join([spaces[0], *between]), tuple(spans))


def ends_in_cjk(text: str) -> bool:
    """Whether a text ends in Chinese or Japanese; closing quotes and ASCII's ``!`` and ``?`` say nothing."""
    kept = text.rstrip("\"'”’»)]!?")
    return bool(kept) and CJK.match(kept[-1]) is not None


def pack(text: str, spans: Sequence[Span], fits: Callable[[str], bool]) -> list[Span]:
    """Put neighbouring pieces together, as many each time as fit; one that does not fit alone stays alone.

    Args:
        fits: whether a text is short enough; of two texts that begin alike, the shorter one must fit if the longer
            one does.
    """
    packed, first = [], 0
    while first < len(spans):
        count = _longest_run(text, spans[first:], fits)
        packed.append((spans[first][0], spans[first + count - 1][1]))
        first += count
    return packed


def pack_evenly(text: str, spans: Sequence[Span], count_tokens: Callable[[str], int], max_length: int) -> list[Span]:
    """Put neighbouring pieces together in as few windows as :func:`pack` needs, the longest as short as it can be.

    So the last window is not a single sentence.
    """

    def windows(limit: int) -> list[Span]:
        return pack(text, spans, lambda part: count_tokens(part) <= limit)

    best, too_short, enough = windows(max_length), 0, max_length
    while enough - too_short > max(max_length // 32, 1):
        limit = (enough + too_short) // 2
        tried = windows(limit)
        if len(tried) == len(best):
            best, enough = tried, limit
        else:
            too_short = limit
    return best


def cut_to_fit(text: str, spans: Sequence[Span], fits: Callable[[str], bool]) -> list[Span]:
    """Take apart the pieces that do not fit: at clauses, or else between words, or else between characters."""
    return [part for span in spans for part in _cut(text, span, fits, level=0)]


def _cut(text: str, span: Span, fits: Callable[[str], bool], level: int) -> list[Span]:
    if fits(text[slice(*span)]) or level == len(_LEVELS):
        return [span]
    parts = pack(text, list(_LEVELS[level](text, span)), fits)
    return [smaller for part in parts for smaller in _cut(text, part, fits, level + 1)]


def _longest_run(text: str, spans: Sequence[Span], fits: Callable[[str], bool]) -> int:
    """How many of the first spans fit together, at least 1: found by doubling, then by halving."""

    def together(count: int) -> bool:
        return fits(text[spans[0][0] : spans[count - 1][1]])

    least, most = 1, 2
    while most <= len(spans) and together(most):
        least, most = most, 2 * most
    most = min(most, len(spans) + 1)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if together(middle) else (least, middle)
    return least


def _between(pattern: re.Pattern[str]) -> Callable[[str, Span], Iterator[Span]]:
    """What takes a span apart where a pattern of white space, or of nothing, matches."""

    def parts(text: str, span: Span) -> Iterator[Span]:
        start = span[0]
        for match in pattern.finditer(text, *span):
            if start < match.start() and match.end() < span[1]:
                yield start, match.start()
                start = match.end()
        yield start, span[1]

    return parts


def _characters(text: str, span: Span) -> Iterator[Span]:
    """The characters of a span, each with the marks that belong to it."""
    starts = [
        place
        for place in range(*span)
        if place == span[0] or not (_is_tied(text[place]) or text[place - 1] in _JOINERS)
    ]
    yield from pairwise([*starts, span[1]])


def _is_tied(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character).startswith("M")


_LEVELS = (_between(_CLAUSES), _between(_WORDS), _characters)
