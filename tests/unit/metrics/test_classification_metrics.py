"""Every metric against a plain re-computation that shares no code with it."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.errors import DataError
from heedful.metrics import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    Metric,
    MetricValue,
    compute_metrics,
    readable,
)

Array = npt.NDArray[Any]


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- the plain re-computations: loops over examples and classes, on yes-or-no decisions -------------------


def decisions(labels: Array, probabilities: Array) -> tuple[Array, Array]:
    """True and predicted (N, C) of bool, whatever the kind of labels."""
    if labels.ndim == 2:
        return labels, probabilities >= 0.5
    true, predicted = np.zeros(probabilities.shape, bool), np.zeros(probabilities.shape, bool)
    for n, label in enumerate(labels):
        true[n, label] = True
        predicted[n, max(range(probabilities.shape[1]), key=lambda c: probabilities[n, c])] = True
    return true, predicted


def plain_accuracy(labels: Array, probabilities: Array) -> float:
    true, predicted = decisions(labels, probabilities)
    return float(np.mean([list(t) == list(p) for t, p in zip(true, predicted, strict=True)]))


def class_f1(true: Array, predicted: Array) -> float:
    hits = sum(t and p for t, p in zip(true, predicted, strict=True))
    if not hits:
        return 0.0
    precision, recall = hits / sum(predicted), hits / sum(true)
    return float(2 * precision * recall / (precision + recall))


def plain_macro_f1(labels: Array, probabilities: Array) -> float:
    true, predicted = decisions(labels, probabilities)
    occurring = [c for c in range(true.shape[1]) if true[:, c].any() or predicted[:, c].any()]
    return sum(class_f1(true[:, c], predicted[:, c]) for c in occurring) / max(len(occurring), 1)


def plain_micro_f1(labels: Array, probabilities: Array) -> float:
    true, predicted = decisions(labels, probabilities)
    return class_f1(true.ravel(), predicted.ravel())


def plain_weighted_f1(labels: Array, probabilities: Array) -> float:
    true, predicted = decisions(labels, probabilities)
    scores = [class_f1(true[:, c], predicted[:, c]) * true[:, c].sum() for c in range(true.shape[1])]
    return float(sum(scores)) / max(int(true.sum()), 1)


def plain_mcc(labels: Array, probabilities: Array) -> float:
    """The correlation of the indicator vectors, summed over classes (Gorodkin 2004, equations 4 to 6)."""
    true, predicted = (kind.astype(float) for kind in decisions(labels, probabilities))
    true, predicted = true - true.mean(axis=0), predicted - predicted.mean(axis=0)
    spread = (true * true).sum() * (predicted * predicted).sum()
    return float((true * predicted).sum() / math.sqrt(spread)) if spread > 1e-9 else 0.0


def plain_hamming_loss(labels: Array, probabilities: Array) -> float:
    true, predicted = decisions(labels, probabilities)
    return float(np.mean(true != predicted))


def plain_ece(labels: Array, probabilities: Array) -> float:
    if labels.ndim == 2:
        confidences, right = probabilities.ravel(), labels.ravel()
    else:
        confidences, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    total = 0.0
    for b in range(15):
        low, high = b / 15, (b + 1) / 15
        inside = [n for n, p in enumerate(confidences) if low < p <= high or (p == 0 and b == 0)]
        if inside:
            gap = np.mean([right[n] for n in inside]) - np.mean([confidences[n] for n in inside])
            total += abs(gap) * len(inside) / len(confidences)
    return float(total)


def plain_brier(labels: Array, probabilities: Array) -> float:
    true, _ = decisions(labels, probabilities)
    squares = [[(p - t) ** 2 for p, t in zip(*row, strict=True)] for row in zip(probabilities, true, strict=True)]
    return float(np.mean(squares) if labels.ndim == 2 else np.mean(np.sum(squares, axis=1)))


def plain_negative_log_likelihood(labels: Array, probabilities: Array) -> float:
    if labels.ndim == 1:
        return float(np.mean([-math.log(max(row[c], 2**-126)) for row, c in zip(probabilities, labels, strict=True)]))
    pairs = zip(probabilities.ravel(), labels.ravel(), strict=True)
    return float(np.mean([-math.log(max(p if held else 1 - p, 2**-126)) for p, held in pairs]))


PLAIN: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": plain_accuracy,
    "subset_accuracy": plain_accuracy,
    "macro_f1": plain_macro_f1,
    "micro_f1": plain_micro_f1,
    "weighted_f1": plain_weighted_f1,
    "mcc": plain_mcc,
    "hamming_loss": plain_hamming_loss,
    "ece": plain_ece,
    "brier": plain_brier,
    "negative_log_likelihood": plain_negative_log_likelihood,
}


# --- data -------------------------------------------------------------------------------------------------


@st.composite
def single_label(draw: st.DrawFn) -> tuple[Array, Array]:
    """Few classes and few examples, so that unseen classes, ties and certain answers are common."""
    num_examples, num_classes = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    concentration = draw(st.sampled_from([0.05, 0.5, 5.0]))
    labels = rng.integers(draw(st.integers(1, num_classes)), size=num_examples)
    return labels, rng.dirichlet(np.full(num_classes, concentration), num_examples)


@st.composite
def multi_label(draw: st.DrawFn) -> tuple[Array, Array]:
    num_examples, num_classes = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.random((num_examples, num_classes)) < draw(st.sampled_from([0.0, 0.2, 0.6]))
    return labels, np.round(rng.random((num_examples, num_classes)), draw(st.sampled_from([0, 1, 6])))


def value(metric: Metric[Any], labels: Array, probabilities: Array, **options: float) -> float:
    return compute_metrics([metric], labels, probabilities, resamples=0, **options)[metric.name].value  # type: ignore[arg-type]


def named(metric: Metric[Any]) -> str:
    return metric.name


# --- tests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", CLASSIFICATION_METRICS, ids=named)
@given(data=single_label())
def test_single_label_metric_is_what_its_definition_says(metric: Metric[Any], data: tuple[Array, Array]) -> None:
    assert value(metric, *data) == pytest.approx(PLAIN[metric.name](*data), abs=1e-12)


@pytest.mark.parametrize("metric", MULTI_LABEL_METRICS, ids=named)
@given(data=multi_label())
def test_multi_label_metric_is_what_its_definition_says(metric: Metric[Any], data: tuple[Array, Array]) -> None:
    assert value(metric, *data) == pytest.approx(PLAIN[metric.name](*data), abs=1e-12)


@pytest.mark.parametrize("metric", CLASSIFICATION_METRICS, ids=named)
def test_direction_points_to_the_better_classifier(metric: Metric[Any]) -> None:
    labels = np.arange(60) % 3
    right = np.eye(3)[labels]
    wrong = np.eye(3)[(labels + 1) % 3]
    better, worse = value(metric, labels, 0.98 * right + 0.01), value(metric, labels, 0.98 * wrong + 0.01)
    assert (better > worse) == (metric.direction == "higher")


@pytest.mark.parametrize("metric", MULTI_LABEL_METRICS, ids=named)
def test_direction_points_to_the_better_multi_label_classifier(metric: Metric[Any]) -> None:
    labels = np.random.default_rng(0).random((40, 3)) < 0.5
    better, worse = (value(metric, labels, np.where(labels == kept, 0.9, 0.1)) for kept in (True, False))
    assert (better > worse) == (metric.direction == "higher")


def test_known_values_of_a_worked_example() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 0, 0, 1, 1, 1, 2, 0])
    found = compute_metrics(CLASSIFICATION_METRICS, labels, np.eye(4)[predicted], resamples=0)
    f1 = [6 / 8, 4 / 5, 2 / 3]  # of classes 0 to 2; class 3 occurs nowhere and does not count
    assert found["accuracy"].value == 6 / 8
    assert found["micro_f1"].value == pytest.approx(6 / 8, abs=1e-15)
    assert found["macro_f1"].value == pytest.approx(sum(f1) / 3, abs=1e-15)
    assert found["weighted_f1"].value == pytest.approx((4 * f1[0] + 2 * f1[1] + 2 * f1[2]) / 8, abs=1e-15)
    # Gorodkin 2004: (6 x 8 - (4x4 + 3x2 + 1x2)) / sqrt((64 - 26) (64 - 24))
    assert found["mcc"].value == pytest.approx((48 - 24) / math.sqrt(38 * 40), abs=1e-15)
    assert found["ece"].value == 2 / 8
    assert found["brier"].value == 2 * 2 / 8
    assert found["negative_log_likelihood"].value == pytest.approx(2 / 8 * -math.log(np.finfo(np.float32).tiny))


def test_mcc_is_zero_where_it_is_undefined() -> None:
    one_answer = np.tile([0.9, 0.1], (6, 1))
    found = compute_metrics(CLASSIFICATION_METRICS, np.array([0, 1, 0, 1, 1, 1]), one_answer)
    assert (found["mcc"].value, found["mcc"].low, found["mcc"].high) == (0, 0, 0)


def test_a_bin_of_the_calibration_error_includes_its_upper_end() -> None:
    """1/3 is the upper end of bin 5: with 0.34, of the next bin, the gaps must not cancel."""
    labels = np.array([[True], [False], [False]])
    in_one_bin = np.array([[1 / 3], [1 / 3], [1 / 3]])
    metric = next(metric for metric in MULTI_LABEL_METRICS if metric.name == "ece")
    assert value(metric, labels, in_one_bin) == pytest.approx(0, abs=1e-15)
    in_two_bins = np.array([[0.34], [1 / 3], [1 / 3]])
    assert value(metric, labels, in_two_bins) == pytest.approx((0.66 + 2 / 3) / 3, abs=1e-15)


def test_threshold_decides_which_labels_are_predicted() -> None:
    labels = np.array([[True, False], [True, True]])
    probabilities = np.array([[0.3, 0.1], [0.3, 0.29]])
    accuracy = next(metric for metric in MULTI_LABEL_METRICS if metric.name == "subset_accuracy")
    assert value(accuracy, labels, probabilities) == 0
    assert value(accuracy, labels, probabilities, threshold=0.3) == 0.5
    assert value(accuracy, labels, probabilities, threshold=0.2) == 1


def test_float32_probabilities_that_sum_to_a_little_over_one_are_taken() -> None:
    probabilities = np.full((4, 2), 0.5, dtype=np.float32)
    probabilities[0] = [1.0000001, 0.0]
    found = compute_metrics(CLASSIFICATION_METRICS, np.array([0, 0, 1, 1]), probabilities, resamples=10)
    assert found["accuracy"].value == 0.5


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (np.zeros(0, np.int64), np.zeros((0, 3)), "no example"),
        (np.zeros((0, 3), bool), np.zeros((0, 3)), "no example"),
        (np.zeros(2, np.int64), np.full((3, 3), 1 / 3), r"\(2,\) do not go with probabilities of shape \(3, 3\)"),
        (np.zeros((2, 2), bool), np.full((2, 3), 1 / 3), "do not go with"),
        (np.zeros(2, np.int64), np.zeros(2), "do not go with"),
        (np.array([0, 3]), np.full((2, 3), 1 / 3), "example 1 has label 3, outside 0 to 2"),
        (np.array([0, -1]), np.full((2, 3), 1 / 3), "example 1 has label -1"),
        (np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, 0.5]]), "example 1 has a probability"),
        (np.array([0, 1]), np.array([[4.0, -3.0], [0.5, 0.5]]), "example 0 has a probability"),
    ],
)
def test_impossible_input_is_named(labels: Array, probabilities: Array, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        compute_metrics(CLASSIFICATION_METRICS, labels, probabilities)
    assert caught.value.remedy


def test_a_value_is_shown_in_its_unit() -> None:
    assert str(MetricValue(0.9212, 0.9101, 0.9333, "higher", "%", 0.95)) == "92.1 % (91.0 – 93.3)"
    assert str(MetricValue(0.41237, None, None, "lower", "nats", 0.95)) == "0.412 nats"
    assert str(MetricValue(-0.1, -0.25, 0.0499, "higher", "", 0.95)) == "-0.100 (-0.250 – 0.050)"


@pytest.mark.parametrize("metric", (*CLASSIFICATION_METRICS, *MULTI_LABEL_METRICS), ids=named)
def test_names_are_shown_without_underscores(metric: Metric[Any]) -> None:
    assert "_" not in readable(metric.name)


def test_abbreviations_are_written_as_people_write_them() -> None:
    names = ["macro_f1", "mcc", "ece", "out_of_scope_auroc"]
    assert [readable(name) for name in names] == ["macro F1", "MCC", "ECE", "out of scope AUROC"]


def test_metrics_need_no_torch() -> None:
    program = "import sys, heedful.metrics; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
