"""Training a Unigram vocabulary."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from heedful.text import unigram
from heedful.text.unigram import train_unigram

WORDS = {"abab": 3, "ab": 5, "ba": 2, "c": 1, "abc": 4, "cab": 2}


def segmentations(word: str, pieces: set[str]) -> list[tuple[str, ...]]:
    """All ways to write ``word`` in ``pieces``, by trying all places to cut."""
    found = []
    for cuts in itertools.product([False, True], repeat=len(word) - 1):
        bounds = [0, *(place for place, cut in enumerate(cuts, 1) if cut), len(word)]
        parts = tuple(word[start:end] for start, end in itertools.pairwise(bounds))
        if set(parts) <= pieces:
            found.append(parts)
    return found


def seeded(words: dict[str, int]) -> tuple[list[str], unigram._Pieces, list[unigram._Block]]:
    """The pieces that training starts from, as texts and as arrays, and the words as blocks."""
    characters = sorted(set("".join(words)))
    row = unigram._row(unigram._parts(words, set(characters)), {c: number for number, c in enumerate(characters)})
    pieces = unigram._seeds(row, len(characters), limit=1000)
    texts = [
        "".join(characters[code] for code in row.codes[start : start + length])
        for start, length in zip(pieces.first, pieces.length, strict=True)
    ]
    return texts, pieces, unigram._blocks(row, pieces.ends)


def test_seeds_are_the_substrings_that_occur_twice() -> None:
    counts = Counter(
        {
            text: sum(
                count * sum(word.startswith(text, place) for place in range(len(word))) for word, count in WORDS.items()
            )
            for text in {w[i:j] for w in WORDS for i in range(len(w)) for j in range(i + 1, len(w) + 1)}
        }
    )
    texts, pieces, _ = seeded(WORDS)
    expected = {text: count for text, count in counts.items() if count >= 2 or len(text) == 1}
    assert dict(zip(texts, pieces.counts.tolist(), strict=True)) == expected


def test_expected_counts_are_those_of_all_segmentations() -> None:
    texts, _, blocks = seeded(WORDS)
    scores = np.log(np.random.default_rng(0).dirichlet(np.ones(len(texts))))
    score = dict(zip(texts, scores.tolist(), strict=True))
    expected = dict.fromkeys(texts, 0.0)
    for word, count in WORDS.items():
        weights = {parts: math.exp(sum(score[part] for part in parts)) for parts in segmentations(word, set(texts))}
        for parts, weight in weights.items():
            for part in parts:
                expected[part] += count * weight / sum(weights.values())
    np.testing.assert_allclose(unigram._expected_counts(blocks, scores), list(expected.values()), rtol=1e-12)


def test_the_score_without_a_piece_is_that_of_its_best_other_segmentation() -> None:
    texts, pieces, _ = seeded(WORDS)
    scores = np.log(np.random.default_rng(1).dirichlet(np.ones(len(texts))))
    score = dict(zip(texts, scores.tolist(), strict=True))
    expected = [
        max((sum(score[part] for part in parts) for parts in segmentations(text, set(texts) - {text})), default=-np.inf)
        for text in texts
    ]
    np.testing.assert_allclose(unigram._score_without(pieces, scores), expected, rtol=1e-12)


def test_words_are_found_in_text_without_spaces() -> None:
    vocabulary = ["银行", "账户", "密码", "手机", "退款", "快递", "地址", "修改"]
    rng = np.random.default_rng(0)
    sentences = Counter("".join(rng.choice(vocabulary, size=6)) for _ in range(400))
    alphabet = set("".join(vocabulary))
    pieces = dict(train_unigram(sentences, alphabet, len(alphabet) + len(vocabulary)))
    assert {piece for piece in pieces if len(piece) > 1} == set(vocabulary)


def test_pieces_come_with_probabilities_the_likeliest_first() -> None:
    pieces = train_unigram(WORDS, set("abc"), 6)
    scores = [score for _, score in pieces]
    assert scores == sorted(scores, reverse=True)
    assert sum(map(math.exp, scores)) == pytest.approx(1, abs=1e-3)


def test_the_size_is_kept_where_the_words_give_as_much() -> None:
    words = Counter({f"{a}{b}{c}": 2 for a in "abcdef" for b in "ghijkl" for c in "mnopqr"})
    alphabet = set("abcdefghijklmnopqr")
    for size in (18, 19, 30, 57):
        pieces = [piece for piece, _ in train_unigram(words, alphabet, size)]
        assert len(pieces) == size
        assert alphabet <= set(pieces)


def test_more_than_the_words_give_is_no_fault() -> None:
    pieces = [piece for piece, _ in train_unigram({"aaab": 2}, {"a", "b"}, 10_000)]
    assert {"a", "b"} <= set(pieces) <= {"a", "b", "aa", "ab", "aaa", "aab", "aaab"}


def test_characters_outside_the_alphabet_are_in_no_piece() -> None:
    pieces = {piece for piece, _ in train_unigram({"ab☃ab": 9, "☃": 3}, {"a", "b"}, 50)}
    assert "ab" in pieces
    assert not any("☃" in piece for piece in pieces)


def test_nothing_to_learn_from_gives_the_characters() -> None:
    assert train_unigram({}, ["b", "a"], 10) == [("a", 0.0), ("b", 0.0)]


def test_very_long_words_are_learnt_from_in_parts() -> None:
    pieces = [piece for piece, _ in train_unigram({"上海银行" * 100_000: 1}, set("上海银行"), 12)]
    assert "上海银行" in pieces
    assert max(map(len, pieces)) <= unigram.MAX_PIECE


def test_the_most_frequent_words_are_learnt_from_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unigram, "MAX_CHARACTERS", 8)
    pieces = {piece for piece, _ in train_unigram({"abab": 9, "cdcd": 8, "efef": 7}, set("abcdef"), 100)}
    assert {"abab", "cdcd"} <= pieces
    assert {piece for piece in pieces if set(piece) & set("ef")} == {"e", "f"}
