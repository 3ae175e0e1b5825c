"""Agreement with people, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from heedful.errors import DataError
from heedful.explanation.human import (
    Phrase,
    average_precision,
    phrase_agreement,
    phrases_of,
    polarities,
    rationale_agreement,
)


def flags(text: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([character == "1" for character in text], dtype=bool)


def test_agreement_with_a_rationale() -> None:
    inside = flags("01100010")
    scores = np.array([0.0, 9, 8, 7, -1, -2, 6, -3])
    """The best three are words 1, 2 and 3: the first run matches by 2 of 3, the second is not found."""
    f1, area, iou = rationale_agreement(scores, inside)
    assert f1 == pytest.approx(2 / 3)
    assert area == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert iou == pytest.approx(2 * 1 / (1 + 2))
    assert rationale_agreement(inside.astype(np.float64), inside) == (1, 1, 1)
    """At the end of the ranking, all eight are taken to find one."""
    assert list(rationale_agreement((~inside).astype(np.float64), inside)) == [0, pytest.approx(3 / 8), 0]


@pytest.mark.parametrize(("chosen", "iou"), [("11110000", 1.0), ("01111000", 1.0), ("00111100", 0.0)])
def test_a_run_counts_with_half_of_the_union(chosen: str, iou: float) -> None:
    inside = flags("11110000")
    assert rationale_agreement(flags(chosen).astype(np.float64), inside)[2] == iou


def test_equal_scores_are_taken_together() -> None:
    for order in ("10", "01"):
        assert average_precision(np.ones(2), flags(order)) == 0.5
    assert average_precision(np.array([2.0, 1, 1, 0]), flags("0101")) == pytest.approx(1 / 3 / 2 + 1 / 2 / 2)


def test_agreement_with_phrases() -> None:
    labels = np.array([4, 2, 0, 3])
    assert list(phrase_agreement(np.array([3.0, 0, -5, 1]), labels)) == [pytest.approx(1), 1]
    assert list(phrase_agreement(np.array([-3.0, 0, 5, -1]), labels)) == [pytest.approx(-1), 0]
    """Ranks 3 2 1 4 beside 4 2 1 3: 1 - 6 · 2 / 60."""
    assert phrase_agreement(np.array([1.0, 0.5, -5, 2]), labels)[0] == pytest.approx(0.8)
    """Ties have the mean of their ranks: 2 2 2 4 beside 4 2 1 3."""
    assert list(phrase_agreement(np.array([0.0, 0, 0, 2]), labels)) == [pytest.approx(1 / np.sqrt(15)), 1 / 3]
    assert phrase_agreement(np.zeros(4), labels) == (0, 0)
    correlation, signs = phrase_agreement(np.array([1.0, 2]), np.array([2, 2]))
    assert np.isnan([correlation, signs]).all()


def test_phrases_stand_where_their_words_do() -> None:
    found = phrases_of("(3 (2 a) (4 (1 very) (2 8 1\\/2)))", "a  very 8 1\\/2", "line 1")
    assert found == (Phrase(0, 1, 2), Phrase(3, 7, 1), Phrase(8, 14, 2), Phrase(3, 14, 4))
    assert phrases_of("(2 a)", "a", "line 1") == ()


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ("(3 (2 a) (4 gem)", "does not end"),
        ("(3 (2 a) (4 gem)))", "malformed at character 18"),
        ("(3 (2 a) (7 gem))", "malformed at character 9"),
        ("(3 (2 a) x (4 gem))", "malformed at character 9"),
        ("(3 ())", "malformed at character 3"),
        ("(3)", "malformed at character 1"),
        ("(3 (2 a) (4 gem) (1 ))", "malformed at character 20"),
        ("(2 a) (2 gem)", "malformed at character 6"),
        ("", "does not end"),
        ("(3 (2 a) (4 gems))", "'gems' does not follow"),
        ("(3 (2 gem) (4 a))", "'gem' does not follow"),
        ("(2 a)", "it lacks 'gem'"),
        (7, "is no text"),
    ],
)
def test_a_malformed_tree_is_refused_with_its_line(tree: object, fault: str) -> None:
    with pytest.raises(DataError, match=rf"sst, line 4: the tree .*{fault}"):
        phrases_of(tree, "a gem", "sst, line 4")


def test_labels_of_sentiment_are_known_by_their_names() -> None:
    assert polarities(("very negative", "Positive", "neutral", "card")).tolist() == [-1, 1, 0, 0]
