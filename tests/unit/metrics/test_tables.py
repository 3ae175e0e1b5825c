from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.errors import DataError
from heedful.metrics import ClassScores, confusion_matrix, most_confused, per_class_table

Classes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40)


def columns(pairs: list[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


@given(pairs=Classes)
def test_confusion_matrix_counts_each_pair(pairs: list[tuple[int, int]]) -> None:
    matrix = confusion_matrix(*columns(pairs), 5)
    assert matrix.shape == (5, 5)
    for true in range(5):
        for predicted in range(5):
            assert matrix[true, predicted] == pairs.count((true, predicted))


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [([0, 5], [0, 0], "example 1 has label 5, outside 0 to 4"), ([0, 0], [-1, 0], "example 0 has prediction -1")],
)
def test_a_class_that_does_not_exist_is_named(labels: list[int], predictions: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        confusion_matrix(np.array(labels), np.array(predictions), 5)


@given(pairs=Classes)
def test_per_class_table_is_what_its_definitions_say(pairs: list[tuple[int, int]]) -> None:
    rows = per_class_table(*columns(pairs), list("abcde"))
    assert [row.label for row in rows] == list("abcde")
    for c, row in enumerate(rows):
        hits = pairs.count((c, c))
        assert row.support == sum(true == c for true, _ in pairs)
        assert row.predicted == sum(predicted == c for _, predicted in pairs)
        assert row.precision == (hits / row.predicted if row.predicted else 0)
        assert row.recall == (hits / row.support if row.support else 0)
        harmonic = 2 * row.precision * row.recall / (row.precision + row.recall) if hits else 0
        assert row.f1 == pytest.approx(harmonic, abs=1e-15)


@given(pairs=Classes)
def test_several_labels_an_example_include_the_case_of_one(pairs: list[tuple[int, int]]) -> None:
    labels, predictions = columns(pairs)
    one_hot = np.eye(5, dtype=bool)
    names = list("abcde")
    assert per_class_table(one_hot[labels], one_hot[predictions], names) == per_class_table(labels, predictions, names)


def test_per_class_table_with_several_labels_an_example() -> None:
    labels = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    predictions = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    assert per_class_table(labels, predictions, ["a", "b", "c"]) == (
        ClassScores("a", precision=0.5, recall=1.0, f1=2 / 3, support=1, predicted=2),
        ClassScores("b", precision=0.5, recall=0.5, f1=0.5, support=2, predicted=2),
        ClassScores("c", precision=0.0, recall=0.0, f1=0.0, support=0, predicted=0),
    )


def test_most_confused_pairs_come_most_frequent_first_and_never_from_the_diagonal() -> None:
    matrix = np.array([[90, 2, 0], [7, 80, 2], [0, 1, 70]])
    assert most_confused(matrix, 10) == [(1, 0, 7), (0, 1, 2), (1, 2, 2), (2, 1, 1)]
    assert most_confused(matrix, 2) == [(1, 0, 7), (0, 1, 2)]
    assert most_confused(np.diag([3, 4]), 5) == []
    assert matrix[0, 0] == 90
