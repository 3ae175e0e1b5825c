"""An answer with its words: what is examined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from heedful.tasks.text_to_text.trust.attention import Finished
from heedful.tasks.text_to_text.trust.words import Spans, TokenWords, answer_spans, words_of_tokens
from heedful.text import Tokenizer


@dataclass(frozen=True)
class Case:
    """An answer, its text and that of its source. T tokens of the answer, R of what was read."""

    finished: Finished
    source: str
    source_spans: Spans
    """(R,), where what was read stands in the source."""
    answer: str
    answer_spans: Spans
    """(T,)."""

    @classmethod
    def of(cls, finished: Finished, source: str, source_spans: Spans, tokenizer: Tokenizer) -> Case:
        """The case of an answer; ``tokenizer`` is of what is written."""
        spans = answer_spans(tokenizer, finished.tokens)
        return cls(finished, source, source_spans, tokenizer.decode(finished.tokens).strip(), spans)

    @cached_property
    def source_words(self) -> TokenWords:
        """(R,), the words of the source that each token speaks for."""
        return words_of_tokens(self.source, self.source_spans)

    @cached_property
    def answer_words(self) -> TokenWords:
        """(T,), likewise of the answer."""
        return words_of_tokens(self.answer, self.answer_spans)


def speaking(words: TokenWords) -> list[int]:
    """The places of the tokens that speak for a word."""
    return [place for place, owners in enumerate(words) if owners]


def places_of(words: TokenWords) -> dict[int, Sequence[int]]:
    """For each word that has tokens, the places of those that speak for it."""
    places: dict[int, list[int]] = {}
    for place, owners in enumerate(words):
        for word in owners:
            places.setdefault(word, []).append(place)
    return dict(places)
