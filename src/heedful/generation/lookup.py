"""Drafts of what a text may go on with: what followed the same tokens before (Saxena 2023, prompt lookup decoding).

A summary repeats parts of its source, and a text itself. A draft takes no network, and one step of the network tells
which of its tokens are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress


def draft(tokens: Sequence[int], source: Sequence[int], *, size: int, ngram: int) -> list[int]:
    """What follows where the end of ``tokens`` stands in the source, or else earlier in the tokens themselves.

    Args:
        tokens: those of a text so far.
        source: what is looked at first.
        size: the most tokens of a draft.
        ngram: the most tokens of the end; where so many are found nowhere, fewer are looked for, down to one.

    Returns:
        What follows the first such place; nothing if there is none.
    """
    for length in range(min(ngram, len(tokens)), 0, -1):
        end = list(tokens[-length:])
        for text in (source, tokens):
            if following := text[_behind(text, end) :][:size]:
                return list(following)
    return []


def _behind(text: Sequence[int], end: list[int]) -> int:
    """The place behind the first ``end`` in a text that something follows, or behind the text."""
    place = len(end) - 1
    with suppress(ValueError):
        while True:
            place = text.index(end[-1], place, len(text) - 1) + 1
            if list(text[place - len(end) : place]) == end:
                return place
    return len(text)
