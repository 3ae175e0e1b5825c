"""BLEU, chrF and chrF++: sacreBLEU's figures, from sums that can be weighted."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from heedful.errors import DataError, RequestError
from heedful.metrics import TRANSLATION_METRICS, bootstrap, translation_statistics
from heedful.metrics.translation import BLEU_TOKENIZERS

REFERENCE: dict[str, Callable[[str], Any]] = {
    "bleu": lambda tokenizer: BLEU(tokenize=tokenizer, force=True),
    "chrf": lambda tokenizer: CHRF(),
    "chrfpp": lambda tokenizer: CHRF(word_order=2),
}
WORDS = ["the", "dog", "runs", "fast", "(well)", "x.", "3,5", "größer", "猫", "a"]
texts = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=12)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=6)


def values(predictions: list[str], references: list[str], **options: Any) -> dict[str, float]:
    statistics = translation_statistics(predictions, references, **options)
    return {name: value.value for name, value in bootstrap(TRANSLATION_METRICS, statistics, resamples=0).items()}


def expected(predictions: list[str], references: list[str], tokenizer: str) -> dict[str, float]:
    return {name: make(tokenizer).corpus_score(predictions, [references]).score for name, make in REFERENCE.items()}


def noisy(count: int, seed: int = 0, kept: float = 0.8) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    references = [" ".join(rng.choices(WORDS, k=rng.randint(1, 20))) for _ in range(count)]
    changed = [[word if rng.random() < kept else rng.choice(WORDS) for word in line.split()] for line in references]
    return [" ".join(line) for line in changed], references


@pytest.mark.parametrize("tokenizer", BLEU_TOKENIZERS)
@given(pairs=pairs)
def test_any_texts_have_the_scores_of_the_library(tokenizer: str, pairs: list[tuple[str, str]]) -> None:
    predictions, references = [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
    found = values(predictions, references, tokenizer=tokenizer)
    assert found == pytest.approx(expected(predictions, references, tokenizer), abs=1e-9)


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("", ""),
        ("", "the dog"),
        ("the dog", ""),
        ("cat", "dog"),
        ("the dog runs", "the dog runs"),  # too short for an n-gram of four tokens
        ("the cat runs so fast", "a dog runs so well"),  # no match of three and four tokens
        ("the dog runs very fast", "the dog runs very fast"),
        ("the dog runs very fast", "the dog runs very fast indeed, and further"),
    ],
)
def test_corners(prediction: str, reference: str) -> None:
    found = values([prediction], [reference])
    assert found == pytest.approx(expected([prediction], [reference], "13a"), abs=1e-9)
    assert all(np.isfinite(value) for value in found.values())


def test_a_thousand_sentences() -> None:
    predictions, references = noisy(1000)
    found = values(predictions, references)
    assert 20 < found["bleu"] < 90
    assert found == pytest.approx(expected(predictions, references, "13a"), abs=1e-9)


@given(seed=st.integers(0, 99))
def test_a_resample_has_the_score_of_the_texts_it_draws(seed: int) -> None:
    predictions, references = noisy(12)
    drawn = np.random.default_rng(seed).integers(12, size=12)
    statistics = translation_statistics(predictions, references)
    tally = statistics.tally(np.bincount(drawn, minlength=12)[None].astype(np.float64))
    found = {metric.name: float(metric.compute(tally)[0]) for metric in TRANSLATION_METRICS}
    again = expected([predictions[i] for i in drawn], [references[i] for i in drawn], "13a")
    assert found == pytest.approx(again, abs=1e-9)


def test_intervals_hold_their_values_and_narrow_with_more_texts() -> None:
    widths = []
    for count in (50, 800):
        for value in bootstrap(TRANSLATION_METRICS, translation_statistics(*noisy(count))).values():
            assert value.low is not None
            assert value.high is not None
            assert 0 < value.low < value.value < value.high < 100
            widths.append(value.high - value.low)
    assert all(few > 2.5 * many for few, many in zip(widths[:3], widths[3:], strict=True))


@pytest.mark.parametrize(
    ("references", "tokenizer"),
    [
        (["The dog runs."], "13a"),
        (["Der Hund läuft größere Bögen."], "13a"),
        (["Собака бежит."], "13a"),
        (["개가 달린다."], "13a"),
        (["那只狗跑得很快。", "GPT 模型"], "zh"),
        (["犬がとても速く走ります。"], "char"),
        (["สุนัขวิ่งเร็วมาก"], "char"),
        (["12:30", ""], "13a"),
    ],
)
def test_the_script_of_the_references_decides_how_words_are_cut(references: list[str], tokenizer: str) -> None:
    statistics = translation_statistics(references, references)
    assert f"|tok:{tokenizer}|" in statistics.signatures["bleu"]
    assert translation_statistics(references, references, tokenizer="intl").signatures["bleu"].count("tok:intl") == 1


def test_a_half_right_chinese_sentence_is_not_all_wrong() -> None:
    found = values(["那只狗跑得很慢很慢。"], ["那只狗跑得很快很快。"])
    assert found["bleu"] > 30
    assert values(["那只狗跑得很慢很慢。"], ["那只狗跑得很快很快。"], tokenizer="13a")["bleu"] == 0


def test_signatures_are_those_of_the_library() -> None:
    predictions, references = noisy(5)
    for name, signature in translation_statistics(predictions, references).signatures.items():
        metric = REFERENCE[name]("13a")
        metric.corpus_score(predictions, [references])
        assert signature == str(metric.get_signature())
        assert "version:" in signature


def test_what_is_no_evaluation() -> None:
    with pytest.raises(DataError, match="there are 2 predictions, but 1 references"):
        translation_statistics(["a", "b"], ["a"])
    with pytest.raises(DataError, match="no prediction to evaluate"):
        translation_statistics([], [])
    with pytest.raises(RequestError, match="no tokenizer '13b' for this metric\ndid you mean 13a"):
        translation_statistics(["a"], ["a"], tokenizer="13b")
