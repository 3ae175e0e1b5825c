"""What metrics of written text share: sums over texts, and which script the texts are in."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from heedful.errors import DataError, RequestError
from heedful.metrics.metric import Floats, readable
from heedful.scripts import HAN, KANA, SOUTHEAST_ASIAN
from heedful.settings import nearest

TallyT = TypeVar("TallyT")

_KINDS = [re.compile(kind) for kind in (f"[{HAN}]", f"[{KANA}{SOUTHEAST_ASIAN}]", "[A-Za-z]", r"[^\W\d_]")]


@dataclass(frozen=True, slots=True)
class Script:
    """What shares of the letters of some texts, 0 to 1, are Chinese, of other unspaced scripts, and not a to z."""

    chinese: float
    other_unspaced: float
    foreign: float

    @classmethod
    def of(cls, texts: Sequence[str]) -> Script:
        """The shares over all of ``texts``; 0 where there are no letters."""
        chinese, others, ascii_letters, letters = (sum(len(kind.findall(text)) for text in texts) for kind in _KINDS)
        total = max(letters, 1)
        return cls(chinese / total, others / total, (letters - ascii_letters) / total)


@dataclass(frozen=True, slots=True)
class TextStatistics(ABC, Generic[TallyT]):
    """What each of N texts adds to the sums (N, K) that metrics are computed from.

    ``signatures`` say by metric how it was computed, so that others can compute the same.
    """

    sums: Floats
    signatures: Mapping[str, str]

    @property
    def num_examples(self) -> int:
        return len(self.sums)

    def tally(self, weights: Floats) -> TallyT:
        """The sums over R weighted copies of the texts; ``weights`` (R, N)."""
        return self.arrange(weights @ self.sums)

    def exchanged(self, other: Self, swaps: Floats) -> TallyT:
        """The sums where ``other`` wrote text n of copy r if ``swaps[r, n]`` is 1; (R, N)."""
        return self.arrange(self.sums.sum(axis=0) + swaps @ (other.sums - self.sums))

    @property
    def notes(self) -> tuple[str, ...]:
        """The signatures for people, one line for all metrics that share one."""
        sharing: dict[str, list[str]] = {}
        for name, signature in self.signatures.items():
            sharing.setdefault(signature, []).append(readable(name))
        return tuple(f"{', '.join(names)}: {signature}" for signature, names in sharing.items())

    @abstractmethod
    def arrange(self, sums: Floats) -> TallyT:
        """Give the columns of sums (R, K) their names."""


def require_pairs(predictions: Sequence[str], references: Sequence[str]) -> None:
    """Raise DataError unless there is a reference for each prediction, and at least one."""
    if len(predictions) != len(references):
        raise DataError(
            f"there are {len(predictions):,} predictions, but {len(references):,} references",
            remedy="Give one reference for each prediction.",
        )
    if not predictions:
        raise DataError("there is no prediction to evaluate", remedy="Give at least one with its reference.")


def choose(name: str, known: Sequence[str]) -> str:
    """``name``; raises RequestError unless it is one of the ``known`` tokenizers."""
    if name not in known:
        raise RequestError(f"there is no tokenizer {name!r} for this metric", remedy=nearest(name, known))
    return name
