"""Temperature fitting against a fine grid, known answers and its promises at the extremes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.errors import DataError
from heedful.metrics import CLASSIFICATION_METRICS, compute_metrics, fit_temperature

Array = npt.NDArray[Any]


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def loss(logits: Array, labels: Array, temperature: float) -> float:
    """The mean negative log-likelihood, from the definitions of softmax and sigmoid."""
    scaled = logits.astype(np.float64) / temperature
    if labels.ndim == 2:
        return float(np.logaddexp(0, np.where(labels, -scaled, scaled)).mean())
    return float((np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())


def random_data(seed: int, *, several: bool, spread: float, size: int = 40) -> tuple[Array, Array]:
    """Logits that mean something, of a classifier that is sure by ``spread``."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(size, 5)) * 2
    labels = (
        rng.random((size, 5)) < 1 / (1 + np.exp(-truth))
        if several
        else (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    )
    return spread * truth, labels


@pytest.mark.parametrize("several", [False, True])
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.3, 1.0, 4.0]))
def test_no_temperature_of_a_fine_grid_is_better(several: bool, seed: int, spread: float) -> None:
    logits, labels = random_data(seed, several=several, spread=spread)
    fitted = fit_temperature(logits, labels)
    best = min(loss(logits, labels, temperature) for temperature in np.geomspace(0.1, 10, 400))
    assert loss(logits, labels, fitted) <= best + 1e-12


@pytest.mark.parametrize("several", [False, True])
@given(seed=st.integers(0, 10_000), spread=st.floats(0, 60), size=st.integers(1, 8))
def test_the_fitted_data_never_become_less_likely(several: bool, seed: int, spread: float, size: int) -> None:
    logits, labels = random_data(seed, several=several, spread=spread, size=size)
    fitted = fit_temperature(logits, labels)
    assert 0.1 <= fitted <= 10
    assert loss(logits, labels, fitted) <= loss(logits, labels, 1.0) + 1e-15


@pytest.mark.parametrize("sharpness", [0.2, 1.0, 3.0, 9.0])
@pytest.mark.parametrize("several", [False, True])
def test_a_classifier_that_is_too_sure_by_a_factor_gets_that_factor_back(sharpness: float, several: bool) -> None:
    """Three of four times right where it should say 75 %: the temperature is the factor, to many digits."""
    labels = np.array([1, 1, 1, 0])
    logits = np.tile([0.0, sharpness * np.log(3)], (4, 1))
    if several:
        logits, labels = logits[:, 1:], labels[:, None].astype(bool)
    assert fit_temperature(logits, labels) == pytest.approx(sharpness, rel=1e-8)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("right", "bound"), [(True, 0.1), (False, 10.0)])
def test_all_right_or_all_wrong_stops_at_the_bound(right: bool, bound: float, several: bool) -> None:
    labels = np.arange(9) % 3
    held = np.eye(3, dtype=bool)[labels]
    logits = np.where(held == right, 2.0, -1.0)
    assert fit_temperature(logits, held if several else labels) == pytest.approx(bound, rel=1e-8)


def test_logits_beyond_the_range_of_the_exponential_are_taken() -> None:
    logits, labels = random_data(0, several=False, spread=3000)
    assert fit_temperature(logits, labels) == pytest.approx(10, rel=1e-8)


def test_logits_that_say_nothing_leave_the_temperature_alone() -> None:
    assert fit_temperature(np.zeros((6, 3)), np.arange(6) % 3) == 1.0


def test_float32_logits_give_the_temperature_of_the_same_numbers_in_float64() -> None:
    logits, labels = random_data(3, several=False, spread=4)
    single = logits.astype(np.float32)
    assert fit_temperature(single, labels) == fit_temperature(single.astype(np.float64), labels)


def test_a_shift_of_all_logits_changes_nothing() -> None:
    logits, labels = random_data(5, several=False, spread=4)
    assert fit_temperature(logits + 100, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-8)


def test_calibration_lowers_the_calibration_error_on_new_data() -> None:
    held_out, labels = random_data(0, several=False, spread=4, size=8000)
    new, new_labels = random_data(1, several=False, spread=4, size=8000)
    temperature = fit_temperature(held_out, labels)

    def ece(scaled: Array) -> float:
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities = weights / weights.sum(axis=1, keepdims=True)
        return compute_metrics(CLASSIFICATION_METRICS, new_labels, probabilities, resamples=0)["ece"].value

    assert ece(new) > 0.15
    assert ece(new / temperature) < 0.025


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, np.int64), "no example"),
        (np.zeros((2, 3)), np.zeros(3, np.int64), "do not go with"),
        (np.zeros((2, 3)), np.zeros((2, 2), bool), "do not go with"),
        (np.zeros((2, 3)), np.array([0, 3]), "example 1 has label 3"),
        (np.array([[0.0, np.inf]]), np.array([0]), "not finite"),
        (np.array([[0.0, np.nan]]), np.array([[True, False]]), "not finite"),
    ],
)
def test_impossible_input_is_named(logits: Array, labels: Array, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fit_temperature(logits, labels)
    assert caught.value.remedy
