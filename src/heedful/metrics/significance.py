"""Whether one system is better than another, or lucky: paired tests over the same examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from heedful.errors import DataError, RequestError
from heedful.metrics.metric import Floats, Metric
from heedful.metrics.resampling import Statistics, blocks, percentiles, require_confidence, resamples_of

TallyT = TypeVar("TallyT")

ROUNDING = 1e-9
"""Differences that differ by no more are equal."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a metric says about two systems on the same examples.

    ``difference`` is the second value minus the first, in the unit of the metric, and ``low`` and ``high`` are the ends
    of its interval. ``better`` is the share of resamples, 0 to 1, on which the second system is the better one, equal
    ones counting half. ``p_value`` is the probability of a difference at least as large, in either direction, if the
    systems were equally good.
    """

    first: float
    second: float
    low: float
    high: float
    better: float
    p_value: float

    @property
    def difference(self) -> float:
        return self.second - self.first


def paired_bootstrap(
    metrics: Iterable[Metric[TallyT]],
    first: Statistics[TallyT],
    second: Statistics[TallyT],
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Comparison]:
    """Compare two systems by every metric on resamples of their common examples (Koehn 2004).

    The p-value is that of the resampled differences moved to have no mean, as they would if the systems were equally
    good (Noreen 1989, the "shift" method), with one added to count and total, so that it is never 0.

    Raises:
        DataError: the systems did not answer equally many examples.
        RequestError: ``resamples`` is not positive, or ``confidence`` not between 0 and 1.
    """
    _require_comparable(first, second, resamples)
    require_confidence(confidence)
    metrics = tuple(metrics)
    found = _differences(
        metrics, ((first.tally(w), second.tally(w)) for w in resamples_of(first.num_examples, resamples, seed))
    )
    result = {}
    for metric, (before, after) in _values(metrics, first, second).items():
        differences = found[metric.name]
        low, high = percentiles(differences, confidence)
        ahead = np.sign(differences if metric.direction == "higher" else -differences)
        p_value = _p_value(differences - differences.mean(), after - before)
        better = float((1 + ahead.mean()) / 2)
        result[metric.name] = Comparison(before, after, low, high, better, p_value)
    return result


def approximate_randomisation(
    metrics: Iterable[Metric[TallyT]],
    first: Statistics[TallyT],
    second: Statistics[TallyT],
    *,
    trials: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """The p-value of the difference by every metric, 0 to 1 (Riezler and Maxwell 2005).

    If the systems were equally good, it would not matter which of them gave an answer: in each trial, the two answers
    to each example change places with probability 1/2, and trials count whose difference is at least as large.

    Raises:
        DataError: the systems did not answer equally many examples.
        RequestError: ``trials`` is not positive.
    """
    _require_comparable(first, second, trials)
    metrics = tuple(metrics)
    generator, count = np.random.default_rng(seed), first.num_examples
    swaps = (generator.integers(2, size=(rows, count)).astype(np.float64) for rows in blocks(count, trials))
    found = _differences(metrics, ((first.exchanged(second, s), second.exchanged(first, s)) for s in swaps))
    observed = _values(metrics, first, second)
    return {metric.name: _p_value(found[metric.name], after - before) for metric, (before, after) in observed.items()}


def _values(
    metrics: Iterable[Metric[TallyT]], first: Statistics[TallyT], second: Statistics[TallyT]
) -> dict[Metric[TallyT], tuple[float, float]]:
    whole = np.ones((1, first.num_examples))
    before, after = first.tally(whole), second.tally(whole)
    return {metric: (float(metric.compute(before)[0]), float(metric.compute(after)[0])) for metric in metrics}


def _differences(metrics: Iterable[Metric[TallyT]], pairs: Iterable[tuple[TallyT, TallyT]]) -> dict[str, Floats]:
    """The second value minus the first of each of R pairs of data sets, (R,), by metric."""
    found: dict[str, list[Floats]] = {metric.name: [] for metric in metrics}
    for before, after in pairs:
        for metric in metrics:
            found[metric.name].append(metric.compute(after) - metric.compute(before))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _p_value(chance: Floats, observed: float) -> float:
    """The share of differences that come about by chance, (R,), and are at least as large as the one observed."""
    as_large = np.abs(chance) >= abs(observed) - ROUNDING
    return float((1 + as_large.sum()) / (1 + len(chance)))


def _require_comparable(first: Statistics[TallyT], second: Statistics[TallyT], resamples: int) -> None:
    if first.num_examples != second.num_examples:
        raise DataError(
            f"one system answered {first.num_examples:,} examples, the other {second.num_examples:,}",
            remedy="Compare systems on the same examples.",
        )
    if resamples < 1:
        raise RequestError(f"the number of resamples or trials is {resamples}", remedy="Use 1 or more; 1000 is usual")
