"""Tokens and words, links, and what makes a reader look twice: all that needs no model."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.tasks.text_to_text.trust import source_spans
from heedful.tasks.text_to_text.trust.alignment import align
from heedful.tasks.text_to_text.trust.doubts import differing_numbers, repetition
from heedful.tasks.text_to_text.trust.lexicon import sure_links
from heedful.tasks.text_to_text.trust.words import answer_spans, word_spans, words_of_tokens
from heedful.text import Tokenizer, TokenizerSettings

TEXTS = [
    "The cat sat on the mat, didn't it?",
    "Über 1,000 Häuser – naïve façades!",
    "天气很好，我们去公园。",
    "今日は良い天気ですね",
    "mixed 中文 and English 😀 emoji",
]
KINDS = {
    kind: Tokenizer.train(TEXTS * 3, TokenizerSettings.model_validate({"kind": kind, "vocabulary_size": size}))
    for kind, size in {"bpe": 320, "unigram": 120, "wordpiece": 150, "characters": 150}.items()
}


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat  sat.\n(On it)", ["The", "cat", "sat.", "(On", "it)"]),
        ("天气很好。", ["天", "气", "很", "好", "。"]),
        ("ひらがな and カナ", ["ひ", "ら", "が", "な", "and", "カ", "ナ"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 문장", ["한국어", "문장"]),
        (" \n", []),
        ("", []),
    ],
)
def test_words_are_what_white_space_separates_or_characters(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(max_size=40))
def test_words_hold_every_character_that_is_no_blank(text: str) -> None:
    covered = {place for start, end in word_spans(text) for place in range(start, end)}
    assert covered == {place for place, character in enumerate(text) if not character.isspace()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_tokens_of_a_source_speak_for_the_words_they_stand_in(kind: str, text: str) -> None:
    (encoding,) = KINDS[kind].encode_batch([text])
    spans = source_spans(encoding)
    for span, owners in zip(spans, words_of_tokens(text, spans), strict=True):
        said = text[slice(*span)] if span else ""
        for owner in owners:
            assert set(words(text)[owner]) & set(said)
        if any(character.isalnum() for character in said):
            assert owners
    spoken_for = {word for owners in words_of_tokens(text, spans) for word in owners}
    known = {number for number, word in enumerate(words(text)) if "😀" not in word}
    assert spoken_for >= known


def test_a_stop_at_the_side_of_a_word_does_not_speak_for_it() -> None:
    text = "He (he) - went."
    spans = ((0, 2), (3, 4), (4, 6), (6, 7), (8, 9), (10, 14), (14, 15), None)
    assert words_of_tokens(text, spans) == ((0,), (), (1,), (), (2,), (3,), (), ())


def test_a_token_of_several_characters_speaks_for_each_where_characters_are_words() -> None:
    assert words_of_tokens("天气好", ((0, 2), (2, 3))) == ((0, 1), (2,))


def test_spans_of_a_source_behind_a_prefix_are_those_of_the_source_alone() -> None:
    tokenizer, text, prefix = KINDS["bpe"], TEXTS[0], "translate: "
    (alone,) = tokenizer.encode_batch([text])
    (behind,) = tokenizer.encode_batch([prefix + text])
    spans = [span for span in source_spans(behind, len(prefix)) if span]
    assert "".join(text[slice(*span)] for span in spans) == text
    assert spans[2:] == [span for span in source_spans(alone) if span][2:]
    assert source_spans(behind, len(prefix))[1] is None, "the prefix comes from no text"


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_pieces_of_an_answer_make_it_up(kind: str, data: st.DataObject) -> None:
    tokenizer = KINDS[kind]
    tokens = data.draw(st.lists(st.integers(0, tokenizer.vocabulary_size - 1), max_size=12))
    text = tokenizer.decode(tokens).strip()
    spans = answer_spans(tokenizer, tokens)
    assert len(spans) == len(tokens)
    assert "".join(text[slice(*span)] for span in spans if span) == text
    ends = [0, *[place for span in spans if span for place in span], len(text)]
    assert ends == sorted(ends)
    for token, span in zip(tokens, spans, strict=True):
        if span is None:
            assert tokenizer.decode([token]) == ""


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind in ("unigram", "characters") for text in TEXTS[:4]] + [("bpe", text) for text in TEXTS[:2]],
)
def test_spans_of_an_answer_are_those_of_the_same_text_as_a_source(kind: str, text: str) -> None:
    tokenizer = KINDS[kind]
    (encoding,) = tokenizer.encode_batch([text])
    assert tokenizer.decode(encoding.ids) == text
    there = words_of_tokens(text, source_spans(encoding))
    assert words_of_tokens(text, answer_spans(tokenizer, encoding.ids)) == there


def test_a_piece_of_a_character_speaks_for_it() -> None:
    """Tokens of bytes may end within a character."""
    tokenizer, text = KINDS["bpe"], "天 😀"
    (encoding,) = tokenizer.encode_batch([text])
    spans = answer_spans(tokenizer, encoding.ids)
    assert (2, 2) in spans, "a first part of a character only"
    assert {word for words in words_of_tokens(text, spans) for word in words} == {0, 1}


# Links


def test_the_lexicon_is_learnt_from_texts_alone() -> None:
    chance, pairs, right = Random(0), [], []
    for _ in range(60):
        source = chance.sample(range(20), 5)
        order = chance.sample(range(5), 5)
        pairs.append((source, [100 + source[place] for place in order]))
        right.append({(place, number) for number, place in enumerate(order)})
    links = [set(found) for found in sure_links(pairs)]
    assert sum(map(len, links)) > 0.9 * 60 * 5
    wrong = sum(len(found - good) for found, good in zip(links, right, strict=True))
    assert wrong / sum(map(len, links)) < 0.01


def test_what_stands_twice_is_not_linked() -> None:
    for found in sure_links([([1, 1, 2], [11, 12, 12])] * 3 + [([1, 2], [11, 12])] * 3)[:3]:
        assert not found


def test_texts_beyond_the_room_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heedful.tasks.text_to_text.trust.lexicon.MAX_CELLS", 30)
    assert len(sure_links([([1, 2], [3, 4])] * 10)) == 3
    assert sure_links([]) == []


def test_alignment_links_each_token_to_the_word_it_looked_at_most() -> None:
    weights = np.array([[0.1, 0.2, 0.6, 0.1], [0.3, 0.1, 0.0, 0.6], [0.9, 0.1, 0, 0]], dtype=np.float32)
    source = ((0,), (0,), (1, 2), ())
    assert align(weights, source, ((0,), (1,), ())) == ((0, 1), (1, 0), (2, 0))
    assert align(weights, ((), (), (), ()), ((0,), (1,), ())) == ()


# What makes a reader look twice


@pytest.mark.parametrize(
    ("source", "answer", "found"),
    [
        ("go home", "geh heim heim heim heim", "4 times in a row: 'heim'"),
        ("go home", "geh jetzt heim geh jetzt heim geh jetzt heim", "3 times in a row: 'geh jetzt heim'"),
        ("go home", "天天天天", "4 times in a row"),
        ("very very very good", "sehr sehr sehr gut", None),
        ("very good", "sehr sehr gut", None),
        ("very very very good", "sehr sehr sehr sehr sehr gut", "5 times in a row"),
        ("go", "", None),
        ("go home", "Geh heim, GEH HEIM, geh heim,", "3 times in a row: 'geh heim,'"),
        ("a shirt", "ein T-Shhhhhhhirt", "7 times in a row: 'h'"),
        ("a shirt", "einememememememem", "7 times in a row: 'em'"),
        ("brrrrrrrr", "brrrrrrrr", None),
        ("in 1000000", "in 1000000", None),
    ],
)
def test_a_loop_is_told_unless_the_source_has_it(source: str, answer: str, found: str | None) -> None:
    told = repetition(source, answer)
    assert (found in told) if found and told else told is None is found


@pytest.mark.parametrize(
    ("source", "answer", "kept", "found"),
    [
        ("1,000.50 euros in 2016", "1.000,50 Euro in 2016", True, None),
        ("1 000 000 people", "1.000.000 Menschen", True, None),
        ("two dogs and 3 cats", "2 Hunde und 3 Katzen", True, None),
        ("3 cats", "drei Katzen", True, None),
        ("3 cats", "4 Katzen", True, "numbers differ, only in the source: 3; only in the answer: 4"),
        ("born in 1987", "geboren 1978", True, "numbers differ, only in the source: 1987; only in the answer: 1978"),
        ("45 and 45", "45", True, "numbers differ, only in the source: 45"),
        ("45 and 67", "45", False, None),
        ("45 and 67", "48", False, "numbers differ, only in the answer: 48"),
        ("٤٥ شخصا", "45 people", True, None),
        ("room 007", "Zimmer 7", True, None),
        ("no numbers", "keine Zahlen", True, None),
        ("1" * 5000, "x", True, f"numbers differ, only in the source: {'1' * 5000}"),
    ],
)
def test_numbers_that_differ_are_told(source: str, answer: str, kept: bool, found: str | None) -> None:
    assert differing_numbers(source, answer, all_kept=kept) == found


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_can_be_compared(source: str, answer: str) -> None:
    assert differing_numbers(source, source, all_kept=True) is None
    assert repetition(source, source) is None
    differing_numbers(source, answer, all_kept=True)
    repetition(source, answer)
