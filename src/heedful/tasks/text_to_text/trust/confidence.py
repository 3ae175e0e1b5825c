"""How much of an answer a reference would have too: a small calibrated model of a few signals. N answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from heedful.settings import Settings
from heedful.tasks.text_to_text.trust.signals import Signals
from heedful.tasks.text_to_text.trust.words import word_spans

MIN_ANSWERS = 50
"""With fewer there is nothing to be sure of."""
FOLDS = 5
BINS = 10
RIDGE = 1.0
"""On the weights of standardised signals: what keeps them small where answers are few."""
MAX_STEPS = 50
TOLERANCE = 1e-9
_EDGE = re.compile(r"^\W+|\W+$")

Floats = NDArray[np.float64]


_FEATURES = ("mean_log_probability", "lowest_log_probability", "coverage", "length")
_SIGNS = np.array([1, 1, 1, -1])
"""Whether each speaks for an answer or against it."""


class ConfidenceModel(Settings):
    """A logistic regression with shares in [0, 1] for targets (Papke and Wooldridge 1996)."""

    weights: dict[str, float] = Field(description="of each signal; of the length its absolute value counts")
    bias: float
    num_answers: int = Field(ge=0, description="that it was fitted on")
    calibration_error: float = Field(
        ge=0, le=1, description="mean distance of confidence from truth over ten bins, on answers left out of the fit"
    )
    correlation: float = Field(ge=-1, le=1, description="of confidence with truth, on answers left out of the fit")

    def of(self, signals: Signals) -> float:
        """The expected share of an answer's words that a reference has too, in [0, 1]."""
        (features,) = _features([signals])
        weights = np.array([self.weights.get(name, 0.0) for name in _FEATURES])
        return float(_expit(features @ weights + self.bias))


def fit_confidence(signals: Sequence[Signals], shares: Sequence[float]) -> ConfidenceModel | None:
    """Fit signals (N) to the shares of their answers' words that references have; None where answers are few."""
    count = len(signals)
    if count < MIN_ANSWERS:
        return None
    features, truth = _features(signals), np.array(shares, dtype=np.float64)
    fold = np.arange(count) % FOLDS
    unseen = np.empty(count)
    for number in range(FOLDS):
        weights, bias = _fit(features[fold != number], truth[fold != number])
        unseen[fold == number] = _expit(features[fold == number] @ weights + bias)
    weights, bias = _fit(features, truth)
    return ConfidenceModel(
        weights=dict(zip(_FEATURES, weights.tolist(), strict=True)),
        bias=bias,
        num_answers=count,
        calibration_error=calibration_error(unseen, truth),
        correlation=_correlation(unseen, truth),
    )


def calibration_error(confidence: Floats, truth: Floats) -> float:
    """Mean distance between mean confidence and mean truth over bins of as many answers each, (N,) and (N,)."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return float(sum(abs(confidence[part].sum() - truth[part].sum()) for part in parts) / len(order))


def shared_words(answer: str, reference: str) -> float:
    """Share of the words of ``answer`` that ``reference`` has too, each as often as it has it, in [0, 1]."""
    written, wanted = _words(answer), _words(reference)
    return (written & wanted).total() / written.total() if written else float(not wanted)


def _words(text: str) -> Counter[str]:
    bare = (_EDGE.sub("", text[start:end]).casefold() for start, end in word_spans(text))
    return Counter(word for word in bare if word)


def _features(signals: Sequence[Signals]) -> Floats:
    """(N, 4)."""
    return np.array(
        [[one.mean_log_probability, one.lowest_log_probability, one.coverage, abs(one.length)] for one in signals]
    )


def _fit(features: Floats, truth: Floats) -> tuple[Floats, float]:
    """Weights (4,) and bias; a signal that would count the wrong way round counts nothing, and the others are refitted.

    Few answers tell little of signals that agree, and a fit that takes a source that nobody looked at for a good sign
    would be sure of the very answers that are worst.
    """
    weights, kept = np.zeros(len(_SIGNS)), np.ones(len(_SIGNS), dtype=np.bool_)
    while True:
        weights[:] = 0
        weights[kept], bias = _logistic_regression(features[:, kept], truth)
        wrong = weights * _SIGNS < 0
        if not wrong.any():
            return weights, bias
        kept &= ~wrong


def _logistic_regression(features: Floats, truth: Floats) -> tuple[Floats, float]:
    """Weights (F,) and bias for features (N, F), by Newton's method; the ridge is on standardised features."""
    count = len(features)
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < TOLERANCE] = 1.0
    design = np.column_stack([(features - centre) / scale, np.ones(count)])
    # As Platt (1999) has it: no share is quite 0 or 1, or the likelihood would grow for ever.
    targets = truth.clip(1 / (count + 2), 1 - 1 / (count + 2))
    ridge = np.diag([RIDGE] * features.shape[1] + [0.0])
    solution = np.zeros(design.shape[1])
    for _ in range(MAX_STEPS):
        expected = _expit(design @ solution)
        gradient = design.T @ (expected - targets) + ridge @ solution
        curvature = (design.T * (expected * (1 - expected))) @ design + ridge
        step = np.linalg.solve(curvature, gradient).clip(-1, 1)
        solution = solution - step
        if np.abs(step).max() < TOLERANCE:
            break
    weights = solution[:-1] / scale
    return weights, float(solution[-1] - weights @ centre)


def _expit(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(x / 2))


def _correlation(one: Floats, other: Floats) -> float:
    if one.std() < TOLERANCE or other.std() < TOLERANCE:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1].clip(-1, 1))
