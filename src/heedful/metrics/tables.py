"""Which classes a classifier gets right, and what it takes them for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heedful.errors import DataError
from heedful.metrics.metric import Floats

Integers = npt.NDArray[np.integer[Any]]
Booleans = npt.NDArray[np.bool_]
Labels = Integers | Booleans
"""One label an example, (N,) integers in [0, C), or any number of them, (N, C) bool."""
Occurrences = tuple[Integers, Integers]
"""The pairs (example, class) that hold, as two arrays of equal length."""


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of one class, shares of one, 0 where undefined.

    ``support`` counts the examples that are of the class, ``predicted`` those that were taken for it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    """Divide, with 0 where the denominator is 0."""
    quotient = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape))
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def occurrences(labels: Labels, predictions: Labels) -> tuple[Occurrences, Occurrences, Occurrences]:
    """The true positives, the predicted and the true (example, class) pairs."""
    predicted, true = _pairs(predictions), _pairs(labels)
    examples, classes = true
    hit = predictions[true] if predictions.ndim == 2 else predictions[examples] == classes
    return (examples[hit], classes[hit]), predicted, true


def _pairs(labels: Labels) -> Occurrences:
    if labels.ndim == 2:
        examples, classes = np.nonzero(labels)
        return examples, classes
    return np.arange(len(labels)), labels.astype(np.int64)


def per_class_table(labels: Labels, predictions: Labels, names: Sequence[str]) -> tuple[ClassScores, ...]:
    """One row a class, in the order of ``names`` (C of them).

    ``labels`` and ``predictions`` are both (N,) class numbers or both (N, C) bool.
    """
    true_positives, predicted, support = (
        np.bincount(classes, minlength=len(names)) for _, classes in occurrences(labels, predictions)
    )
    precision = ratio(true_positives, predicted).tolist()
    recall = ratio(true_positives, support).tolist()
    f1 = ratio(2 * true_positives, predicted + support).tolist()
    return tuple(map(ClassScores, names, precision, recall, f1, support.tolist(), predicted.tolist()))


def confusion_matrix(labels: Integers, predictions: Integers, num_classes: int) -> Integers:
    """Count (C, C): row = the true class, column = the predicted one. Both inputs are (N,) in [0, C).

    Raises DataError for a class outside that range.
    """
    for kind, classes in (("label", labels), ("prediction", predictions)):
        require_classes(kind, classes, num_classes)
    cells = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def require_classes(kind: str, classes: Integers, num_classes: int) -> None:
    """Raise DataError, naming the first offender, unless every class (N,) is in [0, C)."""
    outside = np.flatnonzero((classes < 0) | (classes >= num_classes))
    if len(outside):
        raise DataError(
            f"example {outside[0]} has {kind} {classes[outside[0]]}, outside 0 to {num_classes - 1}",
            remedy="Number the classes from 0, and give as many probabilities as there are classes.",
        )


def most_confused(matrix: Integers, limit: int) -> list[tuple[int, int, int]]:
    """The most frequent errors in a confusion matrix (C, C): ``limit`` of (true, predicted, count)."""
    errors = matrix - np.diag(np.diag(matrix))
    true, predicted = np.nonzero(errors)
    counts = errors[true, predicted]
    order = np.argsort(-counts, kind="stable")[:limit]
    return [(int(true[i]), int(predicted[i]), int(counts[i])) for i in order]
