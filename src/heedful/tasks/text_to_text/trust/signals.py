"""What speaks for or against an answer, measured on it. N answers, T tokens of one, R tokens of what was read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from heedful.settings import Settings
from heedful.tasks.text_to_text.trust.case import Case, places_of, speaking

LOWEST = -30.0
"""No log-probability counts for less: a token that was forced upon the model may have none at all."""
RARE = 0.005
"""Share of ordinary answers that are allowed to fall below a limit."""
MIN_VARIANCE = 0.05
"""Of lengths, where sources and targets always have the same."""


@dataclass(frozen=True)
class Signals:
    """What speaks for or against an answer."""

    mean_log_probability: float
    """Of its tokens."""
    lowest_log_probability: float
    coverage: float
    """Mean over the source's words of the attention that each got in all, at most 1 (Wu et al. 2016, section 7)."""
    length: float
    """Standard deviations by which it is longer than usual."""
    looked_at: float
    """Share of the attention that went to words, and not to punctuation or special tokens, in [0, 1]."""


class Usual(Settings):
    """What is usual in texts that were held out."""

    length_ratio: float = Field(1.0, gt=0, description="tokens of a target for each of the source")
    length_variance: float = Field(
        1.0, gt=0, description="of a target's length, for each token of the source (Gale and Church 1993, section 3)"
    )
    lowest_coverage: float = Field(0.0, description="that but few answers fall below")
    lowest_looked_at: float = Field(0.0, description="that but few answers fall below")

    @classmethod
    def of_lengths(cls, cases: Sequence[Case]) -> Usual:
        """The lengths of targets that are right."""
        lengths = np.array([_lengths(case) for case in cases], dtype=np.float64).clip(min=1)
        source, target = lengths.T
        ratio = float(target.sum() / source.sum())
        variance = float(((target - ratio * source) ** 2 / source).mean())
        return cls(length_ratio=ratio, length_variance=max(variance, MIN_VARIANCE))

    def with_limits(self, signals: Sequence[Signals]) -> Usual:
        """With the limits that ``RARE`` of these answers fall below."""
        coverage, looked_at = (
            float(np.quantile([getattr(one, name) for one in signals], RARE)) for name in ("coverage", "looked_at")
        )
        return self.model_copy(update={"lowest_coverage": coverage, "lowest_looked_at": looked_at})

    def deviation(self, case: Case) -> float:
        """Standard deviations by which an answer is longer than usual; negative for a shorter one."""
        source, target = _lengths(case)
        source = max(source, 1)
        return (target - self.length_ratio * source) / math.sqrt(self.length_variance * source)


def measure(case: Case, log_probabilities: NDArray[np.float64], weights: NDArray[np.float32], usual: Usual) -> Signals:
    """The signals of an answer.

    Args:
        log_probabilities: (T,).
        weights: (T, R), how much each token looked at each that was read.
    """
    bounded = log_probabilities.clip(min=LOWEST)
    written = [place for place, span in enumerate(case.answer_spans) if span is not None]
    rows = weights[written] if written else weights
    attention = list(attention_of_words(case, weights).values())
    return Signals(
        mean_log_probability=float(bounded.mean()),
        lowest_log_probability=float(bounded.min()),
        coverage=float(np.minimum(attention, 1).mean()) if attention else 0.0,
        length=usual.deviation(case),
        looked_at=float(rows[:, speaking(case.source_words)].sum(axis=1).mean()),
    )


def attention_of_words(case: Case, weights: NDArray[np.float32]) -> dict[int, float]:
    """The attention that each word of the source got in all; words that were cut away are left out."""
    columns = weights.sum(axis=0)
    return {word: float(columns[places].sum()) for word, places in places_of(case.source_words).items()}


def _lengths(case: Case) -> tuple[int, int]:
    """Tokens of the source and of the answer that stand for text."""
    source, answer = (sum(span is not None for span in spans) for spans in (case.source_spans, case.answer_spans))
    return source, answer
