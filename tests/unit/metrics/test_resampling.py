"""The intervals: against known resampling distributions, and the same whatever the blocks."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.errors import RequestError
from heedful.metrics import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    ClassificationTally,
    Metric,
    MetricValue,
    bootstrap,
    classification_statistics,
    compute_metrics,
    resampling,
)

Floats = npt.NDArray[np.float64]
REGISTRIES: dict[str, tuple[Metric[ClassificationTally], ...]] = {
    "single label": CLASSIFICATION_METRICS,
    "multi-label": MULTI_LABEL_METRICS,
}


def random_data(kind: str, num_examples: int, seed: int = 0) -> tuple[npt.NDArray[Any], Floats]:
    rng = np.random.default_rng(seed)
    if kind == "single label":
        return rng.integers(4, size=num_examples), rng.dirichlet(np.full(4, 0.4), num_examples)
    return rng.random((num_examples, 4)) < 0.3, rng.random((num_examples, 4))


@pytest.mark.parametrize("kind", REGISTRIES)
@given(counts=st.lists(st.integers(0, 3), min_size=8, max_size=8).filter(any), seed=st.integers(0, 999))
def test_weighing_an_example_is_repeating_it(kind: str, counts: list[int], seed: int) -> None:
    """What makes the resampled values right: every metric of weighted data is that of the data repeated."""
    labels, probabilities = random_data(kind, 8, seed)
    # A resample draws as many examples as there are: fill up, or leave out, to 8.
    weights = np.array(counts)
    weights[np.argmax(weights)] += max(8 - weights.sum(), 0)
    repeated = np.repeat(np.arange(8), weights)[:8]
    weights = np.bincount(repeated, minlength=8)
    tally = classification_statistics(labels, probabilities).tally(weights[None].astype(np.float64))
    again = classification_statistics(labels[repeated], probabilities[repeated]).tally(np.ones((1, 8)))
    for metric in REGISTRIES[kind]:
        assert metric.compute(tally) == pytest.approx(metric.compute(again), abs=1e-12)


def test_interval_of_accuracy_is_that_of_the_binomial_distribution() -> None:
    """Drawing with replacement from N examples of which a share p is right gives Binomial(N, p) right ones."""
    num_examples, right = 200, 160
    labels = np.zeros(num_examples, np.int64)
    predictions = (np.arange(num_examples) >= right).astype(np.int64)
    found = compute_metrics(CLASSIFICATION_METRICS[:1], labels, np.eye(2)[predictions], resamples=20_000)
    p = right / num_examples
    mass = [math.comb(num_examples, k) * p**k * (1 - p) ** (num_examples - k) for k in range(num_examples + 1)]

    def quantile(share: float) -> float:
        return float(np.searchsorted(np.cumsum(mass), share) / num_examples)

    accuracy = found["accuracy"]
    assert accuracy.low is not None
    assert accuracy.high is not None
    # The rank of the 2.5 % quantile of 20,000 draws spreads by 0.11 %: five of that on each side.
    assert quantile(0.0195) <= accuracy.low <= quantile(0.0305)
    assert quantile(0.9695) <= accuracy.high <= quantile(0.9805)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_interval_is_finite_and_holds_its_value(kind: str) -> None:
    for name, value in compute_metrics(REGISTRIES[kind], *random_data(kind, 30), resamples=200).items():
        assert value.low is not None, name
        assert value.high is not None, name
        assert math.isfinite(value.low), name
        assert value.low < value.value < value.high or name == "ece", name
        assert value.low <= value.value <= value.high, name


def test_an_interval_that_resampling_biases_away_is_widened_to_its_value() -> None:
    """Perfectly calibrated in every bin: resamples only ever find larger calibration errors."""
    labels = np.repeat([0, 1], 50)
    probabilities = np.full((100, 2), 0.5)
    ece = compute_metrics(CLASSIFICATION_METRICS, labels, probabilities, resamples=200)["ece"]
    assert ece.value == ece.low == 0
    assert ece.high is not None
    assert ece.high > 0.03


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_single_example_has_an_interval_of_no_width(kind: str) -> None:
    for value in compute_metrics(REGISTRIES[kind], *random_data(kind, 1), resamples=5).values():
        assert value.low == pytest.approx(value.value, abs=1e-15)
        assert value.high == pytest.approx(value.value, abs=1e-15)


def test_same_seed_same_intervals_and_another_seed_others() -> None:
    data = random_data("single label", 50)
    first, again, other = (
        compute_metrics(CLASSIFICATION_METRICS, *data, resamples=100, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first["brier"].low != other["brier"].low
    assert first["brier"].value == other["brier"].value


def test_higher_confidence_gives_a_wider_interval() -> None:
    data = random_data("single label", 80)
    narrow, wide = (compute_metrics(CLASSIFICATION_METRICS, *data, confidence=level) for level in (0.5, 0.99))
    for name in narrow:
        assert narrow[name].confidence == 0.5
        assert width(wide[name]) > width(narrow[name]) > 0


def width(value: MetricValue) -> float:
    assert value.low is not None
    assert value.high is not None
    return value.high - value.low


def test_no_resamples_no_interval() -> None:
    for value in compute_metrics(CLASSIFICATION_METRICS, *random_data("single label", 9), resamples=0).values():
        assert (value.low, value.high, value.interval) == (None, None, "")


def test_blocks_bound_memory_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_data("single label", 2000)

    def peak(weights: int, resamples: int) -> tuple[int, dict[str, MetricValue]]:
        monkeypatch.setattr(resampling, "WEIGHTS_PER_BLOCK", weights)
        tracemalloc.start()
        try:
            found = compute_metrics(CLASSIFICATION_METRICS, *data, resamples=resamples)
            return tracemalloc.get_traced_memory()[1], found
        finally:
            tracemalloc.stop()

    small, found_in_small = peak(2000, 150)
    small_for_many, _ = peak(2000, 600)
    large, found_in_large = peak(2**21, 150)
    assert found_in_small.keys() == found_in_large.keys()
    for name, value in found_in_small.items():
        assert value.low == pytest.approx(found_in_large[name].low, abs=1e-12)
        assert value.high == pytest.approx(found_in_large[name].high, abs=1e-12)
    assert small_for_many < 1.2 * small + 64 * 1024
    assert large > 3 * small


@dataclass(frozen=True)
class Sums:
    """Another job's statistics: one number an example."""

    values: Floats

    @property
    def num_examples(self) -> int:
        return len(self.values)

    def tally(self, weights: Floats) -> Floats:
        return weights @ self.values / len(self.values)

    def exchanged(self, other: Sums, swaps: Floats) -> Floats:
        return ((1 - swaps) @ self.values + swaps @ other.values) / len(self.values)


def test_any_function_of_sums_over_examples_gets_an_interval() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = bootstrap([Metric("mean", "higher", "", lambda mean: mean)], Sums(values), resamples=4000)["mean"]
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    # The bootstrap distribution of a mean is nearly normal, with the population's variance over N.
    error = values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resamples": -1}, "resamples is -1"),
        ({"confidence": 0.0}, "confidence is 0"),
        ({"confidence": 1.0}, "confidence is 1"),
        ({"confidence": 95.0}, "confidence is 95"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        compute_metrics(CLASSIFICATION_METRICS, *random_data("single label", 3), **options)
    assert caught.value.remedy
