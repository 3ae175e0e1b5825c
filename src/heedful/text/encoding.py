"""A text as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tokenizers as hf


@dataclass(frozen=True, slots=True)
class Encoding:
    """A tokenized text or pair of texts; all four lists have one entry a token."""

    ids: list[int]
    token_types: list[int]
    """0 for the first text, 1 for the second of a pair."""
    offsets: list[tuple[int, int]]
    """[start, end) of each token in characters of the original text it comes from; (0, 0) where special."""
    special: list[bool]
    """True at tokens that come from no text, such as the first and the last."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, encoding: hf.Encoding) -> Encoding:
        """From what the ``tokenizers`` library gives."""
        special = [flag == 1 for flag in encoding.special_tokens_mask]
        return cls(encoding.ids, encoding.type_ids, encoding.offsets, special)

    def select(self, positions: Sequence[int]) -> Encoding:
        """The tokens at ``positions``."""
        return Encoding(
            [self.ids[position] for position in positions],
            [self.token_types[position] for position in positions],
            [self.offsets[position] for position in positions],
            [self.special[position] for position in positions],
        )


def is_unicode(text: str) -> bool:
    """Whether ``text`` is free of halves of surrogate pairs, which Python allows but no encoding does."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
