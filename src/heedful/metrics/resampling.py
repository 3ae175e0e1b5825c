"""Intervals by the percentile bootstrap, for every metric that is a function of sums over examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, Self, TypeVar

import numpy as np

from heedful.errors import RequestError
from heedful.metrics.metric import Floats, Metric, MetricValue

TallyT = TypeVar("TallyT")
TallyT_co = TypeVar("TallyT_co", covariant=True)

WEIGHTS_PER_BLOCK = 2**21
"""Bounds memory: at most this many weights (16 MiB), or those of one resample, exist at a time."""
RESAMPLES_PER_BLOCK = 64


class Statistics(Protocol[TallyT_co]):
    """What each of N examples adds to the sums that metrics are computed from."""

    @property
    def num_examples(self) -> int:
        """N."""
        ...

    def tally(self, weights: Floats) -> TallyT_co:
        """The sums over R copies of the data in which example n occurs ``weights[r, n]`` times; (R, N)."""
        ...

    def exchanged(self, other: Self, swaps: Floats) -> TallyT_co:
        """The sums over R copies in which ``other`` answers example n where ``swaps[r, n]`` is 1, else this, at 0."""
        ...


def bootstrap(
    metrics: Iterable[Metric[TallyT]],
    statistics: Statistics[TallyT],
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, MetricValue]:
    """Compute every metric with its percentile bootstrap interval.

    The percentile bootstrap (Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"; Efron and
    Tibshirani 1993, section 13.3): examples are drawn with replacement, N of N, ``resamples`` times, and the
    interval lies between the quantiles (1 - confidence) / 2 and (1 + confidence) / 2 of the metric on them.
    All metrics see the same resamples. Resampling biases some metrics (ECE upward, macro F1 of rare classes
    downward), so an interval that misses the value is widened to reach it; that can only raise its coverage.

    ``resamples=0`` gives values without intervals.

    Raises RequestError where ``resamples`` is negative or ``confidence`` is not between 0 and 1.
    """
    if resamples < 0:
        raise RequestError(f"resamples is {resamples}", remedy="Use 0 (no intervals) or more; 1000 is usual")
    require_confidence(confidence)
    metrics = tuple(metrics)
    whole = statistics.tally(np.ones((1, statistics.num_examples)))
    values = {metric.name: float(metric.compute(whole)[0]) for metric in metrics}
    resampled: dict[str, list[Floats]] = {metric.name: [] for metric in metrics}
    for weights in resamples_of(statistics.num_examples, resamples, seed):
        tally = statistics.tally(weights)
        for metric in metrics:
            resampled[metric.name].append(metric.compute(tally))
    result = {}
    for metric in metrics:
        value = values[metric.name]
        low, high = _interval(value, resampled[metric.name], confidence)
        result[metric.name] = MetricValue(value, low, high, metric.direction, metric.unit, confidence)
    return result


def resamples_of(num_examples: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks (R, N) of how often each example was drawn."""
    generator = np.random.default_rng(seed)
    for rows in blocks(num_examples, resamples):
        drawn = generator.integers(num_examples, size=(rows, num_examples))
        drawn += num_examples * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * num_examples)
        yield counts.reshape(rows, num_examples).astype(np.float64)


def _interval(value: float, resampled: list[Floats], confidence: float) -> tuple[float, float] | tuple[None, None]:
    if not resampled:
        return None, None
    low, high = percentiles(np.concatenate(resampled), confidence)
    return min(low, value), max(high, value)


def blocks(num_examples: int, resamples: int) -> Iterator[int]:
    """Numbers of resamples of N examples that are looked at together."""
    block = min(max(WEIGHTS_PER_BLOCK // num_examples, 1), RESAMPLES_PER_BLOCK)
    for start in range(0, resamples, block):
        yield min(block, resamples - start)


def percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    """The quantiles (1 - confidence) / 2 and (1 + confidence) / 2 of values (R,)."""
    low, high = np.quantile(values, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def require_confidence(confidence: float) -> None:
    """Raise RequestError unless ``confidence`` lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise RequestError(f"confidence is {confidence}", remedy="Use a number between 0 and 1, such as 0.95")
