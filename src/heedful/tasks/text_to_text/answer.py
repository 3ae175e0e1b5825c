"""What a user gets for a text: another text, and what there is to say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Alignment = tuple[tuple[int, int], ...]
"""Pairs (word of the source, word of the answer), both counted from 0."""


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """The answer for one text."""

    text: str
    score: float
    """Sum of the tokens' log-probabilities, normalised by length; ≤ 0, and 0 for certainty."""
    cut_tokens: int = 0
    """Tokens of the source that the network did not see."""
    is_complete: bool = True
    """False where the longest length allowed ended the text."""
    alternatives: tuple[str, ...] = ()
    """The next best texts, where several were asked for."""
    tokens: tuple[str, ...] = ()
    """The tokens of the text, as text."""
    probabilities: tuple[float, ...] = ()
    """The probability of each token, given the source and the tokens before it."""
    confidence: float | None = None
    """Expected share of its words that a reference has too, in [0, 1]; None where held-out data were never seen."""
    alignment: Alignment = ()
    """Which word stands for which; words are what white space separates."""
    warnings: tuple[str, ...] = ()
    """What should make a reader look twice."""
    origin: Literal["model", "memory"] = "model"
    """Who wrote it: the model, or somebody before it, see the translation memory."""
    parts: tuple[tuple[str, str], ...] = ()
    """Where a long text was answered part by part: each part and its answer."""

    @property
    def pharaoh(self) -> str:
        """The alignment as ``0-0 1-2``."""
        return " ".join(f"{source}-{target}" for source, target in self.alignment)
