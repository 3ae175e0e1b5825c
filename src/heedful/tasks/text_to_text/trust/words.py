"""Words of a text, and which of them each token speaks for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from heedful.scripts import LETTERS
from heedful.text import Encoding, Tokenizer
from heedful.text.pieces import Span

Spans = tuple[Span | None, ...]
"""One a token; None where a token comes from no text, as special ones do."""
TokenWords = tuple[tuple[int, ...], ...]
"""The words that each token speaks for, by number."""

_WORD = re.compile(rf"[{LETTERS}]|[^\s{LETTERS}]+")


def word_spans(text: str) -> list[Span]:
    """The words of ``text``: what white space separates, and in scripts that put none between words each character.

    These scripts are Chinese, Japanese kana, Thai, Lao, Burmese and Khmer. A mark above or below a character belongs
    to it.
    """
    spans: list[Span] = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        if spans and spans[-1][1] == start and unicodedata.category(text[start]).startswith("M"):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def words_of_tokens(text: str, spans: Spans) -> TokenWords:
    """The words that each token speaks for: those it has a letter or digit of.

    A stop or a bracket at the side of a word does not speak for the word, or every last word would be the translation
    of every other; where a word has neither letter nor digit, all of it speaks.
    """
    owner: list[int | None] = [None] * len(text)
    for number, (start, end) in enumerate(word_spans(text)):
        speaking = [place for place in range(start, end) if text[place].isalnum()]
        for place in speaking or range(start, end):
            owner[place] = number
    words = []
    for span in spans:
        owners = owner[span[0] : max(span[1], span[0] + 1)] if span is not None else []
        words.append(tuple(dict.fromkeys(number for number in owners if number is not None)))
    return tuple(words)


def source_spans(encoding: Encoding, begin: int = 0) -> Spans:
    """Where the tokens of what is read stand in the text, which begins at a character of it, behind a prefix."""
    return tuple(
        None if special or end <= begin else (max(start - begin, 0), end - begin)
        for (start, end), special in zip(encoding.offsets, encoding.special, strict=True)
    )


def answer_spans(tokenizer: Tokenizer, tokens: Sequence[int]) -> Spans:
    """Where each of an answer's tokens stands in the answer, the decoded text without blanks at its ends.

    The spans of the tokens that have one follow each other without gaps; that of a token that is a first part of a
    character only is empty.
    """
    text = tokenizer.decode(tokens).strip()
    spans: list[Span | None] = []
    start = 0
    for count, token in enumerate(tokens, 1):
        # What a token adds can depend on those before it, so no token is decoded alone.
        end = max(start, _shared_length(text, tokenizer.decode(tokens[:count]).lstrip()))
        spans.append(None if end == start and _is_special(tokenizer, token) else (start, end))
        start = end
    return tuple(spans)


def _shared_length(text: str, beginning: str) -> int:
    """How much of ``beginning`` the text begins with."""
    if text.startswith(beginning):
        return len(beginning)
    return next(
        (place for place, pair in enumerate(zip(text, beginning, strict=False)) if len(set(pair)) > 1), len(text)
    )


def _is_special(tokenizer: Tokenizer, token: int) -> bool:
    return not tokenizer.decode([token]) and bool(tokenizer.decode([token], skip_special=False))
