"""What a classifier answers, and that nothing but the text decides it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import heedful
from heedful import Classification, TextClassifier
from heedful.data import Example
from heedful.errors import DataError, InputTooLongError, RequestError, UnsupportedError
from heedful.tasks import Tally
from heedful.text import LongInput, fit
from heedful.training import Run

Rows = tuple[dict[str, Any], ...]

LONG = " ".join(f"card {word} transfer" for word in ("please", "rain", "pin", "when", "why", "iban")) * 6


def with_card(classifier: TextClassifier, **changes: object) -> TextClassifier:
    classifier.card = classifier.card.model_copy(update=changes)
    return classifier


@pytest.fixture
def classifier(run: Run) -> TextClassifier:
    loaded: TextClassifier = heedful.load(run.folder)
    return loaded


@pytest.fixture(scope="session")
def precise(run: Run) -> TextClassifier:
    classifier: TextClassifier = heedful.load(run.folder)
    classifier.network.double()
    return classifier


def scores_of(answers: list[Classification]) -> np.ndarray:
    return np.array([[answer.scores[label] for label in sorted(answer.scores)] for answer in answers])


def test_it_has_learnt(run: Run) -> None:
    answers = run.task.predict(["my card was swallowed", "transfer to iban pending", "rain and wind 天气"])
    assert [answer.label for answer in answers] == ["card", "transfer", "weather"]


def test_an_answer_is_complete(run: Run) -> None:
    (answer,) = run.task.predict(["the pin of my card"])
    assert set(answer.scores) == set(run.task.labels)
    assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-12)
    assert list(answer.scores.values()) == sorted(answer.scores.values(), reverse=True)
    assert answer.score == max(answer.scores.values()) == answer.scores[answer.labels[0]]
    assert answer.labels == (answer.label,)
    assert (answer.cut_tokens, answer.windows) == (0, 1)


def test_no_text_has_no_answer(run: Run) -> None:
    assert run.task.predict([]) == []


def logits_of(task: TextClassifier, texts: list[str]) -> np.ndarray:
    return task.score([Example(text, None, (), number) for number, text in enumerate(texts)]).logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_answers_do_not_depend_on_company_or_order(
    run: Run, precise: TextClassifier, texts: list[str], dtype: torch.dtype
) -> None:
    """Of the logits, which unlike probabilities never saturate; measured: 7e-7 in float32, 2e-15 in float64."""
    task, tolerance = (run.task, 2e-6) if dtype is torch.float32 else (precise, 1e-12)
    mixed = [*texts, LONG, *texts[:40], "pin"]
    together = logits_of(task, mixed)
    alone = np.concatenate([logits_of(task, [text]) for text in mixed])
    order = list(range(len(mixed)))
    Random(1).shuffle(order)
    shuffled = np.empty_like(together)
    shuffled[order] = logits_of(task, [mixed[index] for index in order])
    assert np.abs(together - alone).max() <= tolerance
    assert np.abs(together - shuffled).max() <= tolerance


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_batch_gives_the_same_answers(precise: TextClassifier, texts: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from([*texts, LONG]), min_size=1, max_size=12))
    alone = np.concatenate([logits_of(precise, [text]) for text in chosen])
    assert np.abs(logits_of(precise, chosen) - alone).max() <= 1e-12


def test_a_stream_is_answered_in_order_and_in_part_before_it_ends(run: Run, texts: list[str]) -> None:
    taken = 0

    def stream() -> Iterator[Example]:
        nonlocal taken
        for number, text in enumerate(texts):
            taken += 1
            yield Example(text, None, (), number)

    answers = run.task.predict_stream(stream(), look_ahead=16)
    first = next(answers)
    assert taken == 16
    pairs = [first, *answers]
    assert [example.row for example, _ in pairs] == list(range(len(texts)))
    expected = scores_of(run.task.predict(texts))
    assert np.abs(scores_of([answer for _, answer in pairs]) - expected).max() <= 2e-6


def test_the_cost_of_answers_is_counted(classifier: TextClassifier, texts: list[str]) -> None:
    tally = Tally()
    examples = [Example(text, None, (), number) for number, text in enumerate([*texts, LONG])]
    classifier.classify(examples, tally=tally)
    windows = [
        window
        for encoding in classifier.tokenizer.encode_batch([example.text for example in examples])
        for window in fit(encoding, 32, LongInput.WINDOW).windows
    ]
    assert tally.texts == len(examples)
    assert tally.tokens == sum(len(window) for window in windows)
    assert tally.tokens < tally.cells
    assert tally.padding_share == 1 - tally.tokens / tally.cells


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_below_the_threshold_it_abstains(classifier: TextClassifier, texts: list[str], share: float) -> None:
    plain = classifier.predict(texts)
    threshold = float(np.quantile([answer.score for answer in plain], share, method="higher"))
    strict = with_card(classifier, abstain_below=threshold).predict(texts)
    for before, after in zip(plain, strict, strict=True):
        given = before.labels if before.score >= threshold else ()
        assert after == dataclasses.replace(before, label=given[0] if given else None, labels=given)
    assert any(answer.label is None for answer in strict) == (share > 0)
    assert any(answer.label is not None for answer in strict)


def test_temperature_divides_the_logits(classifier: TextClassifier, texts: list[str]) -> None:
    examples = [Example(text, None, (), 1) for text in texts]
    logits = classifier.score(examples).logits / 3
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = with_card(classifier, temperature=3.0).predict(texts)
    assert list(classifier.labels) == sorted(classifier.labels)
    assert scores_of(answers) == pytest.approx(expected, abs=1e-12)


# Long texts


def windows_of(classifier: TextClassifier, text: str, how: LongInput) -> np.ndarray:
    """Logits of each window of a text, computed one at a time."""
    (encoding,) = classifier.tokenizer.encode_batch([text])
    logits = []
    for window in fit(encoding, classifier.card.max_length, how).windows:
        ids = torch.tensor([window.ids])
        hidden = classifier.model.encode(ids)
        logits.append(classifier.head(hidden)[0].tolist())
    return np.array(logits)


def test_windows_are_averaged(precise: TextClassifier) -> None:
    logits = windows_of(precise, LONG, LongInput.WINDOW)
    scored = precise.score([Example("pin", None, (), 1), Example(LONG, None, (), 2)])
    assert len(logits) > 3
    assert scored.windows.tolist() == [1, len(logits)]
    assert scored.cut_tokens.tolist() == [0, 0]
    assert np.abs(scored.logits[1] - logits.mean(axis=0)).max() <= 1e-12
    assert precise.predict([LONG])[0].windows == len(logits)


@pytest.mark.parametrize("how", [LongInput.TRUNCATE, LongInput.TRUNCATE_MIDDLE])
def test_a_cut_is_said(classifier: TextClassifier, how: LongInput) -> None:
    logits = windows_of(classifier, LONG, how)
    (encoding,) = classifier.tokenizer.encode_batch([LONG])
    scored = with_card(classifier, long_input=how).score([Example(LONG, None, (), 1)])
    assert len(logits) == 1
    assert scored.logits == pytest.approx(logits, abs=2e-6)
    (answer,) = classifier.predict([LONG])
    assert (answer.cut_tokens, answer.windows) == (len(encoding) - classifier.card.max_length, 1)


def test_a_text_that_is_too_long_is_refused_by_its_number(classifier: TextClassifier) -> None:
    with pytest.raises(InputTooLongError, match="row 2: a text has") as caught:
        with_card(classifier, long_input=LongInput.ERROR).predict(["pin", LONG])
    assert caught.value.remedy


# What is no text


@pytest.mark.parametrize("text", ["", "  \n\t ", "\u3000"])
def test_an_empty_text_is_refused_by_its_number(run: Run, text: str) -> None:
    with pytest.raises(DataError, match="text 2 is empty"):
        run.task.predict(["fine", text])


@pytest.mark.parametrize("entry", [None, 3, b"bytes", ["one"], ("a", "b", "c"), ("a", None)])
def test_what_is_no_text_is_refused_by_its_number(run: Run, entry: object) -> None:
    with pytest.raises(RequestError, match=r"text 1 is .*, neither a text nor a pair of texts"):
        run.task.predict([entry])


def test_a_single_text_is_refused(run: Run) -> None:
    with pytest.raises(RequestError, match=r"takes a list of texts") as caught:
        run.task.predict("my card")
    assert caught.value.remedy == "Write predict([text])."


def test_a_pair_for_a_classifier_of_texts_is_refused(run: Run) -> None:
    with pytest.raises(UnsupportedError, match="row 1 is a pair of texts, and this classifier reads single texts"):
        run.task.predict([("one", "two")])


def test_a_text_for_a_classifier_of_pairs_is_refused(untrained: Callable[..., TextClassifier], rows: Rows) -> None:
    classifier = untrained([row | {"pair": "why"} for row in rows])
    with pytest.raises(UnsupportedError, match="row 2 is one text, and this classifier reads pairs of texts"):
        classifier.predict([("one", "two"), "alone"])  # type: ignore[arg-type]


def test_both_texts_of_a_pair_count_and_their_order(untrained: Callable[..., TextClassifier], rows: Rows) -> None:
    classifier = untrained([row | {"pair": "why"} for row in rows])
    answers = scores_of(classifier.predict([("card", "rain"), ("card", "wind"), ("rain", "card"), ("card", "rain")]))
    assert answers[0] == pytest.approx(answers[3], abs=2e-6)
    for other in (1, 2):
        assert np.abs(answers[0] - answers[other]).max() > 1e-4


def test_several_labels_are_given_by_threshold(untrained: Callable[..., TextClassifier], rows: Rows) -> None:
    classifier = untrained([row | {"label": [row["label"], "any"]} for row in rows], labels="multi")
    with_card(classifier, threshold=0.55)
    answers = classifier.predict([row["text"] for row in rows])
    for answer in answers:
        assert answer.labels == tuple(label for label, score in answer.scores.items() if score >= 0.55)
        assert answer.label == (answer.labels[0] if answer.labels else None)
        assert answer.score == max(answer.scores.values())
    assert len({len(answer.labels) for answer in answers}) > 1
    assert any(abs(sum(answer.scores.values()) - 1) > 0.1 for answer in answers)


def test_answers_survive_saving(classifier: TextClassifier, texts: list[str], tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.float64):
        classifier.network.to(dtype)
        classifier.save(tmp_path / str(dtype))
        loaded = heedful.load(tmp_path / str(dtype))
        assert next(loaded.network.parameters()).dtype is dtype
        assert loaded.card == classifier.card
        assert loaded.predict([*texts, LONG]) == classifier.predict([*texts, LONG])
