"""A text as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tokenizers as hf


@dataclass(frozen=True, slots=True)
class Encoding:
    """A tokenized text or pair of texts; all lists have one entry a token."""

    ids: list[int]
    token_types: list[int]
    """What a model with token types is given: by BERT's custom 0 for the first text, 1 for the second of a pair."""
    offsets: list[tuple[int, int]]
    """[start, end) of each token in characters of the original text it comes from; (0, 0) where special."""
    texts: list[int | None]
    """0 at tokens of the first text, 1 at those of the second, None at special tokens, which come from no text."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def special(self) -> list[bool]:
        """True at tokens that come from no text, such as the first and the last."""
        return [text is None for text in self.texts]

    @classmethod
    def of(cls, encoding: hf.Encoding) -> Encoding:
        """From what the ``tokenizers`` library gives."""
        return cls(encoding.ids, encoding.type_ids, encoding.offsets, encoding.sequence_ids)

    def between(self, before: Sequence[int], after: Sequence[int]) -> Encoding:
        """The same with special tokens at its ends."""
        head, tail = len(before), len(after)
        return Encoding(
            [*before, *self.ids, *after],
            [0] * head + self.token_types + [0] * tail,
            [(0, 0)] * head + self.offsets + [(0, 0)] * tail,
            [None] * head + self.texts + [None] * tail,
        )

    def select(self, positions: Sequence[int]) -> Encoding:
        """The tokens at ``positions``."""
        return Encoding(
            [self.ids[position] for position in positions],
            [self.token_types[position] for position in positions],
            [self.offsets[position] for position in positions],
            [self.texts[position] for position in positions],
        )


def is_unicode(text: str) -> bool:
    """Whether ``text`` is free of halves of surrogate pairs, which Python allows but no encoding does."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
