"""An answer depends on its text alone: not on what else is asked, in which order, and by how many workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import heedful
from heedful.data import Example
from heedful.inference import Workers
from heedful.tasks import TextClassifier
from heedful.training import Run

WORDS = "card swallowed rain 天气 transfer my the please x"
APART = 2e-6
"""Of logits up to 3 in float32; the largest difference seen is 4.8e-7."""

texts = st.lists(
    st.one_of(
        st.just(""),  # nothing
        st.just("card"),  # one token
        st.lists(st.sampled_from(WORDS.split()), min_size=2, max_size=12).map(" ".join),
        st.just(" ".join(["card"] * 400)),  # cut to the longest that the model takes
    ),
    min_size=1,
    max_size=30,
)


@pytest.fixture(scope="module")
def classifier(run: Run) -> TextClassifier:
    loaded: TextClassifier = heedful.load(run.folder)
    return loaded


def logits(classifier: TextClassifier, asked: Sequence[str]) -> NDArray[np.float64]:
    """(N, C), those of an empty text, which has no answer, being zeros."""
    examples = [Example(text, None, (), number) for number, text in enumerate(asked, 1)]
    found = np.zeros((len(asked), len(classifier.labels)))
    found[[bool(text) for text in asked]] = classifier.score([one for one in examples if one.text]).logits
    return found


@given(texts, st.randoms(use_true_random=False), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_answers_depend_neither_on_the_others_nor_on_the_order_nor_on_workers(
    classifier: TextClassifier, asked: list[str], random: Any, workers: int
) -> None:
    alone = np.concatenate([logits(classifier, [text]) for text in asked])
    order = list(range(len(asked)))
    random.shuffle(order)
    classifier.workers = Workers(count=workers, threads=1)
    together = logits(classifier, [asked[place] for place in order])
    classifier.workers = Workers()
    assert np.abs(together - alone[order]).max() <= APART


def test_one_long_text_among_thousands_of_short_ones_changes_nothing(classifier: TextClassifier) -> None:
    words = WORDS.split()
    short = [" ".join(words[place % 7 : place % 7 + 1 + place % 3]) for place in range(3000)]
    expected = logits(classifier, short)
    long = " ".join(words * 200)
    found = logits(classifier, [*short[:1500], long, *short[1500:]])
    assert np.abs(np.delete(found, 1500, axis=0) - expected).max() <= APART
    assert np.abs(found[1500] - logits(classifier, [long])[0]).max() <= APART


def test_the_same_question_has_the_same_bits(classifier: TextClassifier) -> None:
    asked = [f"card {word}" for word in WORDS.split()] * 20
    first = logits(classifier, asked)
    assert np.array_equal(first, logits(classifier, asked))
    by_text = dict(zip(asked, first, strict=True))
    # Texts of one length stand in one batch, where each row is computed as any other.
    assert all(np.array_equal(by_text[text], row) for text, row in zip(asked, first, strict=True))
