"""Scores of tokens into scores of the words of the text that they come from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from heedful.tasks.text_to_text.trust.words import Spans
from heedful.text.pieces import Span


def owners(spans: Spans, words: Sequence[Span]) -> list[int | None]:
    """The word that each token belongs to, by number; None for tokens that come from no text.

    It is the first that the token has a character of. Blanks belong to the word that they lead to, or to the last one.

    Args:
        spans: [start, end) of each token in the text, None where it comes from none.
        words: those of the text, in order.
    """
    ends, last = [end for _, end in words], len(words) - 1
    return [None if span is None or not words else min(bisect_right(ends, span[0]), last) for span in spans]
