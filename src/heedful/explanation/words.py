"""Scores of tokens into scores of the words of the text that they come from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from heedful.tasks.text_to_text.trust.words import Spans, word_spans
from heedful.text.pieces import Span


def whole_words(text: str, spans: Spans) -> tuple[Span, ...]:
    """The words of ``text``, [start, end); those that a token has characters of at once are one.

    In a script that puts no blanks between words, each character would be one, and a token of several of them, such as
    a frequent word or an unknown one, would speak for the first only.

    Args:
        spans: [start, end) of each token in the text, None where it comes from none.
    """
    words = word_spans(text)
    starts, ends = [start for start, _ in words], [end for _, end in words]
    joins = [False] * len(words)
    """Whether each word goes on in the next."""
    for span in spans:
        if span is not None:
            first, last = bisect_right(ends, span[0]), bisect_left(starts, span[1]) - 1
            joins[first : max(first, last)] = [True] * (last - first)
    whole: list[Span] = []
    for (start, end), goes_on in zip(words, [False, *joins], strict=False):
        whole.append((whole.pop()[0] if goes_on else start, end))
    return tuple(whole)


def owners(spans: Spans, words: Sequence[Span]) -> list[int | None]:
    """The word that each token belongs to, by number; None for tokens that come from no text.

    It is the first that the token has a character of. Blanks belong to the word that they lead to, or to the last one.

    Args:
        spans: [start, end) of each token in the text, None where it comes from none.
        words: those of the text, in order.
    """
    ends, last = [end for _, end in words], len(words) - 1
    return [None if span is None or not words else min(bisect_right(ends, span[0]), last) for span in spans]
