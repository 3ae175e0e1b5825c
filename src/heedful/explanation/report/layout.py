"""Where the words of an explanation stand in its texts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from heedful.explanation.result import WrittenExplanation
from heedful.text.sentences import split_sentences

Span = tuple[int, int]
Piece = tuple[str, int | None]
"""A part of a text, and the number of the word that it is; None for what stands between words."""


def pieces(text: str, spans: Sequence[Span]) -> list[Piece]:
    """The whole text, cut at its words."""
    found: list[Piece] = []
    place = 0
    for number, (start, end) in enumerate(spans):
        if start > place:
            found.append((text[place:start], None))
        found.append((text[start:end], number))
        place = max(place, end)
    return found + ([(text[place:], None)] if place < len(text) else [])


def written_pieces(explanation: WrittenExplanation) -> list[Piece]:
    """The answer, cut at the words that were written; one that it does not show, such as its end, is added."""
    answer, place = explanation.answer, 0
    found: list[Piece] = []
    for number, word in enumerate(explanation.written):
        start = answer.find(word, place)
        if start < 0:
            found += [(" ", None), (word, number)]
            continue
        if start > place:
            found.append((answer[place:start], None))
        found.append((word, number))
        place = start + len(word)
    return found + ([(answer[place:], None)] if place < len(answer) else [])


def sentences_of(cut: Sequence[Piece]) -> tuple[list[Piece], list[int]]:
    """The same text, cut at its sentences; and the sentence of each of its words."""
    text = "".join(piece for piece, _ in cut)
    spans = split_sentences(text).spans
    starts = [start for start, _ in spans]
    of_words, place = [], 0
    for piece, number in cut:
        if number is not None:
            of_words.append(max(bisect_right(starts, place) - 1, 0))
        place += len(piece)
    return pieces(text, spans), of_words
