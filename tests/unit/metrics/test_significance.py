"""Paired tests of two systems: against what is known exactly, and against sacreBLEU."""

from __future__ import annotations

import itertools
import random
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from heedful.errors import DataError, RequestError
from heedful.metrics import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    SUMMARIZATION_METRICS,
    TRANSLATION_METRICS,
    TranslationStatistics,
    approximate_randomisation,
    classification_statistics,
    paired_bootstrap,
    summarization_statistics,
    translation_statistics,
)

WORDS = [f"word{number}" for number in range(60)]


def system(kept: float, count: int, seed: int) -> tuple[list[str], list[str]]:
    """What a system writes that gets a share of the words right, and the references."""
    rng, own = random.Random(0), random.Random(seed)
    references = [rng.choices(WORDS, k=rng.randint(4, 20)) for _ in range(count)]
    written = [[word if own.random() < kept else own.choice(WORDS) for word in line] for line in references]
    return [" ".join(line) for line in written], [" ".join(line) for line in references]


def statistics(kept: float, count: int = 300, seed: int = 1) -> TranslationStatistics:
    return translation_statistics(*system(kept, count, seed))


def test_equal_systems_do_not_differ() -> None:
    same = statistics(0.8)
    for found in paired_bootstrap(TRANSLATION_METRICS, same, same).values():
        assert (found.difference, found.low, found.high, found.better, found.p_value) == (0, 0, 0, 0.5, 1)
    assert set(approximate_randomisation(TRANSLATION_METRICS, same, same, trials=100).values()) == {1}


def test_a_system_that_is_clearly_better() -> None:
    worse, better = statistics(0.6), statistics(0.8, seed=2)
    for found in paired_bootstrap(TRANSLATION_METRICS, worse, better).values():
        assert found.difference == found.second - found.first > 5
        assert 0 < found.low < found.difference < found.high
        assert found.better == 1
        assert found.p_value == 1 / 1001
    assert set(approximate_randomisation(TRANSLATION_METRICS, worse, better, trials=999).values()) == {1 / 1000}


def test_exchanging_the_systems_exchanges_the_answer() -> None:
    pair = statistics(0.78), statistics(0.8, seed=2)
    there, back = (paired_bootstrap(TRANSLATION_METRICS, *order) for order in (pair, pair[::-1]))
    for name, found in there.items():
        assert (found.first, found.second) == (back[name].second, back[name].first)
        assert (found.low, found.high) == pytest.approx((-back[name].high, -back[name].low))
        assert found.better == pytest.approx(1 - back[name].better)
        assert found.p_value == back[name].p_value


def test_randomisation_finds_the_share_of_all_exchanges() -> None:
    """With 8 texts there are 256 ways to exchange answers: each is tried, with the library's scores."""
    first, references = system(0.6, 8, 1)
    second, _ = system(0.75, 8, 2)

    def difference(swaps: tuple[bool, ...]) -> float:
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(first, second, swaps, strict=True)]
        before, after = (CHRF().corpus_score([pair[side] for pair in pairs], [references]).score for side in (0, 1))
        return float(after - before)

    observed = abs(difference((False,) * 8))
    exact = np.mean([abs(difference(swaps)) >= observed - 1e-9 for swaps in itertools.product((False, True), repeat=8)])
    assert 0.02 < exact < 0.98
    statistics_ = (translation_statistics(texts, references) for texts in (first, second))
    found = approximate_randomisation(TRANSLATION_METRICS[1:2], *statistics_, trials=20_000)
    assert found["chrf"] == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 20_000))


def test_randomisation_agrees_with_sacrebleu() -> None:
    first, references = system(0.78, 200, 1)
    second, _ = system(0.8, 200, 2)
    metrics: Any = {"BLEU": BLEU(), "chrF2": CHRF()}
    test = PairedTest([("first", first), ("second", second)], metrics, [references], "ar", n_samples=2000)
    _, theirs = test()
    ours = approximate_randomisation(
        TRANSLATION_METRICS, translation_statistics(first, references), translation_statistics(second, references)
    )
    for name, key in (("bleu", "BLEU"), ("chrf", "chrF2")):
        expected: Any = theirs[key][1]
        assert 0.02 < expected.p_value < 0.98
        # Five times the standard error of 2,000 and 10,000 trials.
        error = np.sqrt(expected.p_value * (1 - expected.p_value) * (1 / 2000 + 1 / 10_000))
        assert ours[name] == pytest.approx(expected.p_value, abs=5 * error)


@pytest.mark.parametrize("test", ["bootstrap", "randomisation"])
def test_luck_is_called_a_difference_as_rarely_as_promised(test: str) -> None:
    """Of equally good systems, about a share p has a p-value of at most p."""
    p_values = []
    for seed in range(60):
        pair = statistics(0.7, 60, 2 * seed), statistics(0.7, 60, 2 * seed + 1)
        if test == "bootstrap":
            p_values.append(paired_bootstrap(TRANSLATION_METRICS[1:2], *pair, resamples=200)["chrf"].p_value)
        else:
            p_values.append(approximate_randomisation(TRANSLATION_METRICS[1:2], *pair, trials=200)["chrf"])
    assert np.mean(np.array(p_values) <= 0.1) < 0.25
    assert 0.35 < np.mean(p_values) < 0.65


def test_summaries_and_classifiers_are_compared_too() -> None:
    (first, references), (second, _) = system(0.5, 50, 1), system(0.9, 50, 2)
    pair = summarization_statistics(first, references), summarization_statistics(second, references)
    for found in paired_bootstrap(SUMMARIZATION_METRICS, *pair).values():
        assert found.better == 1
    assert set(approximate_randomisation(SUMMARIZATION_METRICS, *pair, trials=99).values()) == {0.01}
    labels = np.arange(40) % 2
    unsure, sure = (np.abs(labels[:, None] - [p, 1 - p]) for p in (0.6, 0.9))
    compared = paired_bootstrap(
        CLASSIFICATION_METRICS, classification_statistics(labels, unsure), classification_statistics(labels, sure)
    )
    assert compared["accuracy"].better == 0.5
    assert compared["brier"].difference < 0  # lower is better
    assert compared["brier"].better == 1


def test_what_cannot_be_compared() -> None:
    few, many = statistics(0.8, 10), statistics(0.8, 11)
    for compare in (paired_bootstrap, approximate_randomisation):
        with pytest.raises(DataError, match="one system answered 10 examples, the other 11"):
            compare(TRANSLATION_METRICS, few, many)
    with pytest.raises(RequestError, match="resamples or trials is 0"):
        paired_bootstrap(TRANSLATION_METRICS, few, few, resamples=0)
    with pytest.raises(RequestError, match="resamples or trials is -1"):
        approximate_randomisation(TRANSLATION_METRICS, few, few, trials=-1)
    with pytest.raises(RequestError, match="confidence is 1"):
        paired_bootstrap(TRANSLATION_METRICS, few, few, confidence=1)


@pytest.mark.parametrize("kind", ["single label", "multi-label", "translation"])
@given(swaps=st.lists(st.booleans(), min_size=8, max_size=8), seed=st.integers(0, 99))
def test_exchanged_answers_count_as_if_the_other_had_given_them(kind: str, swaps: list[bool], seed: int) -> None:
    rng = np.random.default_rng(seed)
    metrics: Any = TRANSLATION_METRICS
    if kind == "translation":
        references = system(0.7, 8, seed)[1]
        answers: Any = [system(kept, 8, seed)[0] for kept in (0.6, 0.9)]
        made: Any = partial(translation_statistics, references=references)
        mixed: Any = [b if swap else a for a, b, swap in zip(*answers, swaps, strict=True)]
    else:
        single = kind == "single label"
        metrics = CLASSIFICATION_METRICS if single else MULTI_LABEL_METRICS
        labels = rng.integers(3, size=8) if single else rng.random((8, 3)) < 0.5
        answers = [rng.dirichlet(np.ones(3), 8) for _ in range(2)]
        made = partial(classification_statistics, labels)
        mixed = np.where(np.array(swaps)[:, None], answers[1], answers[0])
    first, second = map(made, answers)
    found, expected = (
        first.exchanged(second, np.array([swaps], dtype=np.float64)),
        made(mixed).tally(np.ones((1, 8))),
    )
    for metric in metrics:
        assert metric.compute(found) == pytest.approx(metric.compute(expected), abs=1e-9)
