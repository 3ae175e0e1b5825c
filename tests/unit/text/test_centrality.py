"""The most central sentences are those that share their words with the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.text.centrality import centrality

WORDS = [
    "river",
    "bridge",
    "flood",
    "town",
    "council",
    "mends",
    "money",
    "week",
    "cat",
    "sleeps",
    "sofa",
    "河",
    "桥",
    "水",
]


def by_matrix(sentences: list[str]) -> np.ndarray:
    """The same written out: similarities of all pairs, and the walk's matrix to a high power."""
    bags = [sentence.split() for sentence in sentences]
    words = sorted({word for bag in bags for word in bag})
    counts = np.array([[bag.count(word) for word in words] for bag in bags], dtype=float).reshape(len(bags), -1)
    vectors = counts * np.log((1 + len(bags)) / np.maximum((counts > 0).sum(axis=0), 1))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, 0)
    sums = similar.sum(axis=1, keepdims=True)
    walk = np.where(sums > 1e-9, similar / np.maximum(sums, 1e-9), 1 / len(bags))
    ranks = np.full(len(bags), 1 / len(bags))
    for _ in range(500):
        ranks = 0.15 / len(bags) + 0.85 * ranks @ walk
    return ranks


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), min_size=1, max_size=12))
def test_it_is_the_walk_over_all_pairs(sentences: list[str]) -> None:
    np.testing.assert_allclose(centrality(sentences), by_matrix(sentences), atol=1e-7)


def test_the_sentence_all_others_share_words_with_comes_first() -> None:
    ranks = centrality(
        [
            "The flood broke the old bridge.",
            "A cat sleeps on a sofa.",
            "The council mends the bridge after the flood.",
            "The council met this week.",
            "Nobody knows what it costs.",
        ]
    )
    assert ranks.argmax() == 2
    assert ranks[1] < ranks[0]


def test_chinese_shares_characters() -> None:
    ranks = centrality(["洪水冲垮了桥。", "猫在睡觉。", "洪水之后人们修桥。"])
    assert ranks.argmin() == 1


@pytest.mark.parametrize("sentences", [[], ["one"], ["", ""], ["…", "a"], ["a", "a"]])
def test_shares_add_up(sentences: list[str]) -> None:
    ranks = centrality(sentences)
    assert len(ranks) == len(sentences)
    assert ranks.sum() == pytest.approx(1 if sentences else 0)


def test_ten_thousand_sentences_need_no_square_of_memory() -> None:
    generator = np.random.default_rng(0)
    sentences = [" ".join(f"w{n}" for n in generator.integers(0, 5000, 20)) for _ in range(10_000)]
    assert centrality(sentences).sum() == pytest.approx(1)
