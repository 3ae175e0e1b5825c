from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.errors import DataError
from heedful.metrics import auroc

Scored = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: {positive for _, positive in rows} == {True, False}
)


def columns(rows: list[tuple[int, bool]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return np.array([score for score, _ in rows], np.float64), np.array([positive for _, positive in rows])


@given(rows=Scored)
def test_auroc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    pairs = [(a, b) for a, positive in rows for b, other in rows if positive and not other]
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs)
    assert auroc(*columns(rows)) == pytest.approx(wins / len(pairs), abs=1e-15)


@given(rows=Scored)
def test_auroc_knows_only_the_order_of_the_scores(rows: list[tuple[int, bool]]) -> None:
    scores, positives = columns(rows)
    assert auroc(np.exp(scores), positives) == auroc(scores, positives)
    assert auroc(-scores, positives) == pytest.approx(1 - auroc(scores, positives), abs=1e-15)


def test_auroc_of_float32_scores_and_of_infinite_ones() -> None:
    scores = np.array([-np.inf, 0.5, 0.5, np.inf], dtype=np.float32)
    assert auroc(scores, np.array([False, False, True, True])) == 3.5 / 4


def test_auroc_counts_many_pairs_without_overflow() -> None:
    scores = np.arange(200_000, dtype=np.float64)
    assert auroc(scores, scores >= 100_000) == 1.0


@pytest.mark.parametrize(
    ("scores", "positives", "message"),
    [
        ([0.1, 0.2], [True, True], "no negative example"),
        ([0.1, 0.2], [False, False], "no positive example"),
        ([], [], "no positive example"),
        ([0.1, float("nan")], [True, False], "not a number"),
    ],
)
def test_auroc_says_what_is_missing(scores: list[Any], positives: list[bool], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        auroc(np.array(scores, np.float64), np.array(positives, bool))
    assert caught.value.remedy
