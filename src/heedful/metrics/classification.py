"""The metrics of classification, with one label an example or with several.

Each metric is a function of a few sums over examples (a tally), which is what makes 1,000 bootstrap
resamples cheap: a resample is a weighted tally, not a new data set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from heedful.errors import DataError
from heedful.metrics.metric import Floats, Metric, MetricValue
from heedful.metrics.resampling import bootstrap
from heedful.metrics.tables import Booleans, Integers, Labels, occurrences, ratio, require_classes

NUM_BINS = 15
"""Of the expected calibration error, as in Guo et al. 2017, section 2."""
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""A probability that underflowed to 0 counts as this in a logarithm, which stays finite."""


@dataclass(frozen=True, slots=True)
class ClassificationTally:
    """Sums over R weighted copies of N examples of C classes.

    ``exact`` (R,) counts examples whose labels are all right. ``true_positives``, ``predicted`` and
    ``support`` (R, C) count each class. ``log_loss`` and ``squared_error`` (R,) and ``calibration_gaps``
    (R, bins), confidence minus correctness, are sums over examples; with several labels an example, each
    example adds the mean over its C yes-or-no decisions.
    """

    num_examples: int
    exact: Floats
    true_positives: Floats
    predicted: Floats
    support: Floats
    log_loss: Floats
    squared_error: Floats
    calibration_gaps: Floats


@dataclass(frozen=True, slots=True)
class ClassificationStatistics:
    """What each example adds to a ClassificationTally.

    ``sums`` (N, 3 + bins) are exact, log loss, squared error and the calibration gaps. ``examples`` and
    ``cells`` (M,) say that an example adds one to a cell of the 3 x C class counts, laid end to end.
    """

    num_classes: int
    sums: Floats
    examples: Integers
    cells: Integers

    @property
    def num_examples(self) -> int:
        return len(self.sums)

    def tally(self, weights: Floats) -> ClassificationTally:
        return self._arrange(weights @ self.sums, self._count(weights))

    def exchanged(self, other: Self, swaps: Floats) -> ClassificationTally:
        """The sums where ``other``, of the same classes, answered example n of copy r if ``swaps[r, n]`` is 1."""
        sums = self.sums.sum(axis=0) + swaps @ (other.sums - self.sums)
        return self._arrange(sums, self._count(1 - swaps) + other._count(swaps))

    def _count(self, weights: Floats) -> Floats:
        """How often each cell is counted in R copies, (R, 3 x C)."""
        cells = 3 * self.num_classes
        return np.stack([np.bincount(self.cells, row[self.examples], cells) for row in weights]).astype(np.float64)

    def _arrange(self, sums: Floats, counts: Floats) -> ClassificationTally:
        true_positives, predicted, support = np.split(counts, 3, axis=1)
        return ClassificationTally(
            num_examples=self.num_examples,
            exact=sums[:, 0],
            true_positives=true_positives,
            predicted=predicted,
            support=support,
            log_loss=sums[:, 1],
            squared_error=sums[:, 2],
            calibration_gaps=sums[:, 3:],
        )


def accuracy(tally: ClassificationTally) -> Floats:
    """Share of examples whose labels are all right (subset accuracy where there are several)."""
    return tally.exact / tally.num_examples


def macro_f1(tally: ClassificationTally) -> Floats:
    """Mean F1 of the classes that occur in the labels or in the predictions; 0 where none does."""
    occurring = (tally.predicted + tally.support > 0).sum(axis=1)
    return ratio(_f1(tally).sum(axis=1), occurring)


def micro_f1(tally: ClassificationTally) -> Floats:
    """F1 of all decisions together; with one label an example, this is the accuracy."""
    occurring = tally.predicted.sum(axis=1) + tally.support.sum(axis=1)
    return ratio(2 * tally.true_positives.sum(axis=1), occurring)


def weighted_f1(tally: ClassificationTally) -> Floats:
    """Mean F1 of the classes, weighted by their support."""
    return ratio((_f1(tally) * tally.support).sum(axis=1), tally.support.sum(axis=1))


def _f1(tally: ClassificationTally) -> Floats:
    return ratio(2 * tally.true_positives, tally.predicted + tally.support)


def matthews_correlation(tally: ClassificationTally) -> Floats:
    """Matthews correlation coefficient of many classes (Gorodkin 2004, equation 8); 0 where undefined."""
    total = float(tally.num_examples)
    covariance = tally.exact * total - (tally.predicted * tally.support).sum(axis=1)
    spread_predicted = total**2 - (tally.predicted**2).sum(axis=1)
    spread_true = total**2 - (tally.support**2).sum(axis=1)
    return ratio(covariance, np.sqrt(spread_predicted) * np.sqrt(spread_true))


def expected_calibration_error(tally: ClassificationTally) -> Floats:
    """Mean gap between confidence and accuracy over 15 bins of equal width (Guo et al. 2017, equation 3).

    With several labels an example, each of its yes-or-no decisions counts: the gap is between the probability
    of a label and how often the label holds.
    """
    gaps: Floats = np.abs(tally.calibration_gaps).sum(axis=1)
    return gaps / tally.num_examples


def brier_score(tally: ClassificationTally) -> Floats:
    """Mean squared error of the probabilities (Brier 1950, equation 2).

    With one label an example it is summed over classes, from 0 to 2; with several it is the mean over the
    yes-or-no decisions, from 0 to 1.
    """
    return tally.squared_error / tally.num_examples


def negative_log_likelihood(tally: ClassificationTally) -> Floats:
    """Mean negative log probability of what is true, in nats."""
    return tally.log_loss / tally.num_examples


def hamming_loss(tally: ClassificationTally) -> Floats:
    """Share of the N x C yes-or-no decisions that are wrong."""
    wrong: Floats = (tally.predicted + tally.support - 2 * tally.true_positives).sum(axis=1)
    num_classes: int = tally.support.shape[1]
    return wrong / (tally.num_examples * num_classes)


_F1: tuple[Metric[ClassificationTally], ...] = (
    Metric("macro_f1", "higher", "%", macro_f1),
    Metric("micro_f1", "higher", "%", micro_f1),
    Metric("weighted_f1", "higher", "%", weighted_f1),
)
_CALIBRATION: tuple[Metric[ClassificationTally], ...] = (
    Metric("ece", "lower", "%", expected_calibration_error),
    Metric("brier", "lower", "", brier_score),
    Metric("negative_log_likelihood", "lower", "nats", negative_log_likelihood),
)

CLASSIFICATION_METRICS: tuple[Metric[ClassificationTally], ...] = (
    Metric("accuracy", "higher", "%", accuracy),
    *_F1,
    Metric("mcc", "higher", "", matthews_correlation),
    *_CALIBRATION,
)
"""For one label an example."""

MULTI_LABEL_METRICS: tuple[Metric[ClassificationTally], ...] = (
    Metric("subset_accuracy", "higher", "%", accuracy),
    *_F1,
    Metric("hamming_loss", "lower", "%", hamming_loss),
    *_CALIBRATION,
)
"""For several labels an example, or none."""


def compute_metrics(
    registry: Iterable[Metric[ClassificationTally]],
    labels: Labels,
    probabilities: npt.NDArray[np.floating[Any]],
    *,
    threshold: float = 0.5,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, MetricValue]:
    """Compute every metric of ``registry`` with its percentile bootstrap interval, by name.

    The data are those of ``classification_statistics``, the other options those of ``bootstrap``, and so are
    the errors.
    """
    statistics = classification_statistics(labels, probabilities, threshold=threshold)
    return bootstrap(registry, statistics, resamples=resamples, seed=seed, confidence=confidence)


def classification_statistics(
    labels: Labels, probabilities: npt.NDArray[np.floating[Any]], *, threshold: float = 0.5
) -> ClassificationStatistics:
    """What each example adds to the metrics.

    ``labels`` is (N,) int64 where an example has one label, and the prediction is the most probable class;
    or (N, C) bool where it may have several, and a label is predicted where its probability reaches
    ``threshold``. ``probabilities`` is (N, C).

    Raises DataError where there is no example, shapes disagree, a label is outside [0, C) or a probability
    is outside [0, 1].
    """
    _require_agreement(labels, probabilities)
    exact = probabilities.astype(np.float64)
    if labels.ndim == 2:
        return _multi_label(labels.astype(np.bool_), exact, threshold)
    return _single_label(labels.astype(np.int64), exact)


def _require_agreement(labels: Labels, probabilities: npt.NDArray[np.floating[Any]]) -> None:
    expected = labels.shape if labels.ndim == 2 else (len(labels), *probabilities.shape[1:])
    if probabilities.ndim != 2 or probabilities.shape != expected:
        raise DataError(
            f"labels of shape {labels.shape} do not go with probabilities of shape {probabilities.shape}",
            remedy="Give labels (N,) int64 or (N, C) bool, and probabilities (N, C).",
        )
    if not len(labels):
        raise DataError("there is no example to evaluate", remedy="Give at least one labelled example.")
    if labels.ndim == 1:
        require_classes("label", cast(Integers, labels), probabilities.shape[1])
    impossible = np.flatnonzero(~((probabilities >= 0) & (probabilities <= 1 + 1e-5)).all(axis=1))
    if len(impossible):
        raise DataError(
            f"example {impossible[0]} has a probability that is not between 0 and 1",
            remedy="Give probabilities, not logits; not-a-number means that the model itself has diverged.",
        )


def _single_label(labels: Integers, probabilities: Floats) -> ClassificationStatistics:
    num_examples, num_classes = probabilities.shape
    predictions = probabilities.argmax(axis=1)
    right = (predictions == labels).astype(np.float64)
    of_truth = probabilities[np.arange(num_examples), labels]
    confidence = probabilities.max(axis=1)
    return _statistics(
        labels,
        predictions,
        num_classes,
        log_loss=-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)),
        squared_error=(probabilities**2).sum(axis=1) - of_truth**2 + (1 - of_truth) ** 2,
        gaps=_binned(confidence[:, None], (confidence - right)[:, None]),
    )


def _multi_label(labels: Booleans, probabilities: Floats, threshold: float) -> ClassificationStatistics:
    of_truth = np.where(labels, probabilities, 1 - probabilities)
    return _statistics(
        labels,
        probabilities >= threshold,
        labels.shape[1],
        log_loss=-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)).mean(axis=1),
        squared_error=((1 - of_truth) ** 2).mean(axis=1),
        gaps=_binned(probabilities, probabilities - labels) / labels.shape[1],
    )


def _statistics(
    labels: Labels,
    predictions: Labels,
    num_classes: int,
    *,
    log_loss: Floats,
    squared_error: Floats,
    gaps: Floats,
) -> ClassificationStatistics:
    exact = (labels == predictions).reshape(len(labels), -1).all(axis=1)
    kinds = occurrences(labels, predictions)
    return ClassificationStatistics(
        num_classes=num_classes,
        sums=np.column_stack([exact, log_loss, squared_error, gaps]),
        examples=np.concatenate([examples for examples, _ in kinds]),
        cells=np.concatenate([classes + kind * num_classes for kind, (_, classes) in enumerate(kinds)]),
    )


def _binned(confidence: Floats, values: Floats) -> Floats:
    """Sum each example's ``values`` (N, K) by the bin of their ``confidence`` (N, K): (N, bins).

    Bin b holds the confidences in (b / bins, (b + 1) / bins], and 0 falls into the first.
    """
    bins = np.clip(np.ceil(confidence * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    cells = bins + NUM_BINS * np.arange(len(confidence))[:, None]
    sums = np.bincount(cells.ravel(), values.ravel(), minlength=NUM_BINS * len(confidence))
    return sums.astype(np.float64).reshape(len(confidence), NUM_BINS)
