"""A text in pieces, and every character between them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from heedful.scripts import CJK

Span = tuple[int, int]
"""Where a piece begins and ends, in characters of the whole text."""
CountTokens = Callable[[str], int]
"""How many tokens a text has, those counted too that come from no text."""

_CLAUSES = re.compile(r"(?<=[,;:–—])\s+|(?<=[，、；：。！？])\s*")
"""Where a sentence may be taken apart; the strongest places first."""
_WORDS = re.compile(rf"\s+|(?<={CJK.pattern})|(?={CJK.pattern})")
_JOINERS = "\u200d"
"""What ties characters to one another besides combining marks."""
_LEAST_SHARE = 1e-3
"""Of a mean piece's tokens, what every piece counts for."""


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


def pack(text: str, spans: Sequence[Span], count_tokens: CountTokens, max_length: int) -> list[Span]:
    """Put neighbouring pieces together in as few windows as can be, the longest of them as short as it can be then.

    So the last window is not a single sentence. A piece that is too long by itself stays alone. Each piece and each
    window is counted, not everything between; where pieces have other tokens together than alone, there may be a
    window more than there had to be.
    """
    if not spans:
        return []
    none = count_tokens("")
    edges = [spans[0][0], *(end for _, end in spans)]
    sizes = np.array([count_tokens(text[start:end]) - none for start, end in pairwise(edges)], dtype=np.float64)
    whole = max(count_tokens(text[edges[0] : edges[-1]]) - none, 1)
    # What has no tokens alone may have some in company: it counts a little, or no window would ever be short enough.
    sizes = np.maximum(sizes, _LEAST_SHARE * whole / len(sizes))
    sizes *= whole / sizes.sum()
    room = float(max_length - none)
    while True:
        groups = pairwise(_cuts(sizes, room))
        windows = [(spans[first][0], spans[last - 1][1], last - first) for first, last in groups]
        longest = max((count_tokens(text[start:end]) for start, end, count in windows if count > 1), default=0)
        if longest <= max_length:
            return [(start, end) for start, end, _ in windows]
        room *= (max_length - none) / (longest - none)


def _cuts(sizes: NDArray[np.float64], room: float) -> list[int]:
    """Where the windows begin, and where the last one ends, in pieces."""
    ends = np.concatenate([[0.0], np.cumsum(sizes)])

    def greedily(limit: float) -> list[int]:
        cuts = [0]
        while cuts[-1] < len(sizes):
            cuts.append(max(int(np.searchsorted(ends, ends[cuts[-1]] + limit + 1e-6, side="right")) - 1, cuts[-1] + 1))
        return cuts

    best = greedily(room)
    too_short, enough = ends[-1] / len(best), room
    while enough - too_short > 0.5:
        limit = (enough + too_short) / 2
        tried = greedily(limit)
        if len(tried) == len(best):
            best, enough = tried, limit
        else:
            too_short = limit
    return best


def cut_to_fit(text: str, spans: Sequence[Span], count_tokens: CountTokens, max_length: int) -> list[Span]:
    """Take apart the pieces that are too long: at clauses, or else between words, or else between characters."""

    def cut(span: Span, level: int) -> list[Span]:
        if count_tokens(text[slice(*span)]) <= max_length or level == len(_LEVELS):
            return [span]
        parts = pack(text, list(_LEVELS[level](text, span)), count_tokens, max_length)
        return [smaller for part in parts for smaller in cut(part, level + 1)]

    return [part for span in spans for part in cut(span, 0)]


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
