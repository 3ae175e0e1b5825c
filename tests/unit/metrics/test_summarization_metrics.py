"""ROUGE: rouge-score's figures for English, and figures at all for other languages."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from heedful.errors import DataError, RequestError
from heedful.metrics import SUMMARIZATION_METRICS, bootstrap, summarization_statistics
from heedful.metrics.summarization import ROUGE, ROUGE_TOKENIZERS

WORDS = ["cats", "cat", "running", "runs", "the", "quick", "dog", "2", "well,", "end.\n"]
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=12)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=5)


def values(predictions: list[str], references: list[str], **options: Any) -> dict[str, float]:
    statistics = summarization_statistics(predictions, references, **options)
    return {name: value.value for name, value in bootstrap(SUMMARIZATION_METRICS, statistics, resamples=0).items()}


def expected(predictions: list[str], references: list[str]) -> dict[str, float]:
    scorer = RougeScorer(ROUGE, use_stemmer=True)
    scores = [scorer.score(target, text) for text, target in zip(predictions, references, strict=True)]
    return {name: 100 * sum(score[name].fmeasure for score in scores) / len(scores) for name in ROUGE}


@given(pairs=pairs)
def test_any_texts_have_the_scores_of_the_library(pairs: list[tuple[str, str]]) -> None:
    predictions, references = [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
    found = values(predictions, references, tokenizer="english")
    assert found == pytest.approx(expected(predictions, references), abs=1e-9)


@given(seed=st.integers(0, 99))
def test_a_resample_has_the_score_of_the_texts_it_draws(seed: int) -> None:
    rng = random.Random(0)
    predictions, references = ([" ".join(rng.choices(WORDS, k=9)) for _ in range(10)] for _ in range(2))
    drawn = np.random.default_rng(seed).integers(10, size=10)
    weights = np.bincount(drawn, minlength=10)[None].astype(np.float64)
    tally = summarization_statistics(predictions, references).tally(weights)
    found = {metric.name: float(metric.compute(tally)[0]) for metric in SUMMARIZATION_METRICS}
    again = expected([predictions[i] for i in drawn], [references[i] for i in drawn])
    assert found == pytest.approx(again, abs=1e-9)


def test_by_hand() -> None:
    found = values(["the cats ran\nand slept"], ["the cat slept\nand ran"])
    # Five words on each side, all shared once "cats" has lost its ending. Pairs of words: "the cat" of four. In order:
    # "the cat ran" or "the cat and ran", four of five; by sentence: "the cat" and "slept", "and" and "ran": all five.
    assert found == pytest.approx({"rouge1": 100, "rouge2": 25, "rougeL": 60, "rougeLsum": 100})


def test_lines_are_the_sentences_of_rouge_lsum() -> None:
    one_line = values(["b c. a d."], ["a d. b c."])
    lines = values(["b c.\na d."], ["a d.\nb c."])
    assert one_line["rougeL"] == one_line["rougeLsum"] == lines["rougeL"] == 50
    assert lines["rougeLsum"] == 100


@pytest.mark.parametrize(
    ("references", "tokenizer", "stemmer"),
    [
        (["The dog runs.", "A café " + "and so on " * 40], "english", "porter"),
        (["Der Hund läuft größere Bögen."], "unicode", "no"),
        (["Собака бежит."], "unicode", "no"),
        (["那只狗跑得很快。"], "unicode", "no"),
        (["42"], "english", "porter"),
    ],
)
def test_the_references_decide_how_words_are_cut(references: list[str], tokenizer: str, stemmer: str) -> None:
    signatures = summarization_statistics(references, references).signatures
    assert set(signatures) == set(ROUGE)
    assert all(f"|tok:{tokenizer}|stemmer:{stemmer}|version:rouge-score-" in text for text in signatures.values())
    assert signatures["rougeLsum"].endswith("|sentences:lines")


@pytest.mark.parametrize(
    ("prediction", "reference", "rouge1"),
    [
        ("那只狗跑得快", "那只猫跑得快", 100 * 5 / 6),
        ("犬が走る", "犬は走る", 75),
        ("Das läuft", "Das läuft", 100),
        ("Größe für Bögen", "Größe fur Bogen", 100 / 3),
        ("собака бежит", "собака спит", 50),
        ("हिन्दी भाषा", "हिन्दी बोली", 50),
        ("GPT模型", "gpt模式", 100 * 2 / 3),
        ("ＡＢＣ", "abc", 100),
        ("e\u0301te", "éte", 100),
    ],
)
def test_words_and_characters_of_any_script(prediction: str, reference: str, rouge1: float) -> None:
    assert values([prediction], [reference], tokenizer="unicode")["rouge1"] == pytest.approx(rouge1)


def test_chinese_is_not_dropped() -> None:
    assert values(["那只狗"], ["那只狗"], tokenizer="english")["rouge1"] == 0  # what the library does
    assert values(["那只狗"], ["那只狗"])["rouge1"] == 100


@pytest.mark.parametrize("tokenizer", ROUGE_TOKENIZERS)
def test_empty_texts_score_nothing(tokenizer: str) -> None:
    assert set(values(["", "x", "。"], ["x", "", ""], tokenizer=tokenizer).values()) == {0}


def test_intervals_hold_their_values() -> None:
    rng = random.Random(0)
    predictions, references = ([" ".join(rng.choices(WORDS, k=9)) for _ in range(100)] for _ in range(2))
    for value in bootstrap(SUMMARIZATION_METRICS, summarization_statistics(predictions, references)).values():
        assert value.low is not None
        assert value.high is not None
        assert 0 < value.low < value.value < value.high < 100
        assert str(value) == f"{value.value:.1f} points ({value.low:.1f} – {value.high:.1f})"


def test_what_is_no_evaluation() -> None:
    with pytest.raises(DataError, match="there are 1 predictions, but 2 references"):
        summarization_statistics(["a"], ["a", "b"])
    with pytest.raises(RequestError, match="no tokenizer 'chinese' for this metric\nknown: english, unicode"):
        summarization_statistics(["a"], ["a"], tokenizer="chinese")
