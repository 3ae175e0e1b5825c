"""What an explanation of a label says is what the classifier does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import TOPICS
from torch import Tensor, nn

import heedful
from heedful.data import Example
from heedful.errors import JobError, RequestError, UnsupportedError
from heedful.explanation import METHODS, Explanation
from heedful.explanation.integrated import BASELINES, along_path, integrated_gradients
from heedful.explanation.labels import read
from heedful.explanation.words import owners, whole_words
from heedful.model import ClassificationHeadSpec, build_head
from heedful.tasks import ClassifierCard, TextClassifier
from heedful.tasks.text_to_text.trust.words import word_spans
from heedful.text import LongInput, Tokenizer, TokenizerSettings
from heedful.training import Run

SIGNALS = {label: [*words.split(), *words.split()[-1]] for label, words in TOPICS.items()}
"""The characters of Chinese words too: each is a word."""
LABELS = ("card", "rain", "train")
TEXTS = ["my new card arrived", "it will rain today", "the train is late", "密码忘了怎么办", "where's my card?"] * 3
LAYER = {"self_attention": {"num_heads": 2, "head_dim": 8}, "feed_forward": {"d_ff": 24}}
SIZES = {"vocabulary_size": 130, "d_model": 16}
CROSSING = {"layers": [LAYER | {"cross_attention": LAYER["self_attention"]}]}
MODELS: dict[str, dict[str, Any]] = {
    "encoder": {"spec": {**SIZES, "encoder": {"layers": [LAYER, LAYER]}}},
    "decoder": {"spec": {**SIZES, "decoder": {"layers": [LAYER]}}},
    "encoder and decoder": {"spec": {**SIZES, "encoder": {"layers": [LAYER]}, "decoder": CROSSING}},
}
TOKEN_METHODS = [name for name, method in METHODS.items() if not method.by_group]


class Bag(nn.Module):
    """A module of a user's own: each token's state is its vector, so the mean makes everything linear."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.d_model = 6
        self.table = nn.Embedding(vocabulary_size, self.d_model)

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, S) -> (B, S, D)."""
        states: Tensor = self.table(ids)
        return states


@pytest.fixture(scope="module", params=["wordpiece", "bpe", "characters"])
def bag(request: pytest.FixtureRequest) -> TextClassifier:
    tokenizer = Tokenizer.train(TEXTS, TokenizerSettings(kind=request.param, vocabulary_size=400))
    torch.manual_seed(0)
    head = ClassificationHeadSpec(num_labels=3)
    card = ClassifierCard(labels=LABELS, max_length=400, long_input=LongInput.ERROR, head=head)
    made = TextClassifier(Bag(tokenizer.vocabulary_size).double(), build_head(head, 6).double(), tokenizer, card)
    made.network.eval()
    return made


Make = Callable[..., TextClassifier]


@pytest.fixture(params=MODELS)
def classifier(request: pytest.FixtureRequest, untrained: Make) -> TextClassifier:
    """Random weights in float64, so that sums can be held to the last digits."""
    return made(untrained, MODELS[request.param])


def made(untrained: Make, model: dict[str, Any], pair: bool = False, **task: Any) -> TextClassifier:
    texts = [{"text": text, "label": LABELS[number % 3]} for number, text in enumerate(TEXTS)]
    rows = [row | ({"pair": "and then"} if pair else {}) for row in texts]
    classifier = untrained(rows, model=model, max_length=32, **task)
    classifier.network.double().eval()
    return classifier


def logits_of(classifier: TextClassifier, text: str) -> Any:
    return classifier.score([Example(text, None, (), 1)]).logits[0]


def total(explanation: Explanation) -> float:
    assert explanation.bias is not None
    return sum(explanation.scores) + explanation.bias


def test_tokens_and_bias_sum_to_the_logit_or_to_a_difference(classifier: TextClassifier) -> None:
    for text in TEXTS[:5]:
        logits = logits_of(classifier, text)
        alone = heedful.explain(classifier, text, target="rain")
        against = heedful.explain(classifier, text, target="rain", against="card")
        assert alone.logit == pytest.approx(logits[1], abs=1e-12)
        assert against.logit == pytest.approx(logits[1] - logits[0], abs=1e-12)
        for explanation in (alone, against):
            assert total(explanation) == pytest.approx(explanation.logit, abs=1e-12)
            assert abs(explanation.gap or 0.0) <= 1e-12
            assert explanation.sum_line.endswith("✓")


def test_words_have_what_their_tokens_have(classifier: TextClassifier) -> None:
    for text in TEXTS[:5]:
        explanation = heedful.explain(classifier, text)
        assert [word.text for word in explanation.words] == [text[start:end] for start, end in word_spans(text)]
        (encoding,) = classifier.tokenizer.encode_batch([text])
        special = sum(score for score, flag in zip(explanation.scores, encoding.special, strict=True) if flag)
        assert sum(word.score for word in explanation.words) + special == pytest.approx(
            sum(explanation.scores), abs=1e-12
        )


@pytest.mark.parametrize("method", METHODS)
def test_scores_alone_are_scores_in_a_batch(classifier: TextClassifier, method: str) -> None:
    together = heedful.explain(classifier, TEXTS[:5], method=method)
    for text, explanation in zip(TEXTS[:5], together, strict=True):
        alone = heedful.explain(classifier, text, method=method)
        assert alone.label == explanation.label
        assert alone.scores == pytest.approx(explanation.scores, abs=1e-13)
        assert alone.bias == (None if explanation.bias is None else pytest.approx(explanation.bias, abs=1e-13))


def test_explaining_changes_no_bit_of_the_answer(classifier: TextClassifier) -> None:
    before = logits_of(classifier, TEXTS[0])
    for method in METHODS:
        heedful.explain(classifier, TEXTS[:5], method=method)
    assert np.array_equal(logits_of(classifier, TEXTS[0]), before)
    assert all(parameter.requires_grad for parameter in classifier.network.parameters())


@pytest.mark.parametrize(
    ("baseline", "points", "bound"), [("mask", 50, 1e-11), ("pad", 50, 1e-11), ("zero", 200, 1e-4)]
)
def test_integrated_gradients_are_complete_where_a_sum_of_rectangles_is_not(
    untrained: Make, baseline: str, points: int, bound: float
) -> None:
    """Of a smooth network; the way from zeros begins where a norm is steepest, so that it takes more points."""
    assert set(BASELINES) == {"mask", "pad", "zero"}
    layer = LAYER | {"feed_forward": {"d_ff": 24, "activation": "gelu"}}
    classifier = made(untrained, {"spec": {**SIZES, "encoder": {"layers": [layer, layer]}}})
    for reading in read(classifier, [Example(text, None, (), 1) for text in TEXTS[:3]]):
        rows = reading.rows(1, None)
        (gauss,) = integrated_gradients(classifier, rows, baseline=baseline, points=points)
        places, weights = np.arange(points) / points, np.full(points, 1 / points)
        (left,) = along_path(classifier, rows, places, weights, baseline=baseline)
        claim = gauss.logits[1]
        gaps = [abs(found.scores.sum() + (found.bias or 0.0) - claim) for found in (gauss, left)]
        assert gaps[0] <= bound * abs(claim - (gauss.bias or 0.0))
        assert gaps[1] > 100 * gaps[0]


@pytest.mark.parametrize("text", TEXTS[:5])
def test_a_score_is_the_fall_of_the_logit_without_the_word(text: str, bag: TextClassifier) -> None:
    """Of a linear model it is known: each hidden token takes its own share away."""
    explanation = heedful.explain(bag, text, target="rain")
    assert explanation.method == "leave_one_out"
    (encoding,) = bag.tokenizer.encode_batch([text])
    assert isinstance(bag.model, Bag)
    table, output = bag.model.table.weight, bag.head.output
    shares = (table[encoding.ids] - table[bag.tokenizer.special.mask]) @ output.weight[1] / len(encoding)
    (reading,) = read(bag, [Example(text, None, (), 1)])
    groups = reading.groups(encoding)
    expected = [float(shares[groups.get(word, [])].sum().detach()) for word in range(len(reading.words))]
    assert [word.score for word in explanation.words] == pytest.approx(expected, abs=1e-12)
    assert explanation.logit == pytest.approx(logits_of(bag, text)[1], abs=1e-12)
    assert explanation.bias is None and explanation.gap is None
    assert explanation.sum_line == f"logit {explanation.logit:.3f}".replace("-", "−")


def test_words_are_those_of_the_text(bag: TextClassifier) -> None:
    explanation = heedful.explain(bag, "where's  my 密码?")
    is_piece = any("密码" in token for token in explanation.tokens)
    assert [word.text for word in explanation.words] == ["where's", "my", *(["密码"] if is_piece else "密码"), "?"]
    assert all(explanation.text[word.start : word.end] == word.text for word in explanation.words)


def test_tokens_belong_to_the_first_word_that_they_have_a_character_of() -> None:
    words = [(0, 3), (4, 8)]
    spans = ((0, 2), (2, 3), None, (3, 4), (3, 6), (6, 8), (2, 5), (8, 9), (4, 4))
    assert owners(spans, words) == [0, 0, None, 1, 1, 1, 0, 1, 1]
    assert owners(spans[:3], []) == [None, None, None]


def test_words_that_a_token_has_characters_of_at_once_are_one() -> None:
    text = "手机坏了, call me"
    pieces = ((0, 2), (2, 3), (3, 4), (4, 5), (5, 10), (10, 13))
    assert whole_words(text, (None, *pieces)) == ((0, 2), (2, 3), (3, 4), (4, 5), (6, 10), (11, 13))
    assert whole_words(text, ((0, 2), (1, 3))) == ((0, 3), (3, 4), (4, 5), (6, 10), (11, 13))
    assert whole_words(text, ((2, 2), (10, 13), (5, 6))) == tuple(word_spans(text))
    assert whole_words(text, ((0, 13),)) == ((0, 13),)


@given(st.text("ab 手机坏了,", max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), max_size=6))
def test_no_token_speaks_for_two_words_and_no_word_is_lost(text: str, cuts: list[tuple[int, int]]) -> None:
    spans = tuple((min(start, len(text)), min(start + width, len(text))) for start, width in cuts)
    words = whole_words(text, spans)
    assert "".join(text[start:end] for start, end in words).replace(" ", "") == text.replace(" ", "")
    for span in spans:
        assert sum(start < span[1] and span[0] < end for start, end in words) <= 1
    starts = {start for start, _ in words}
    joined = [start for start, _ in word_spans(text) if start not in starts]
    assert all(any(span[0] < start < span[1] for span in spans) for start in joined)


def test_the_most_probable_label_is_explained_unless_another_is_asked_for(classifier: TextClassifier) -> None:
    (answer,) = classifier.predict([TEXTS[0]])
    explanation = heedful.explain(classifier, TEXTS[0])
    assert explanation.label == answer.label
    assert explanation.probability == pytest.approx(answer.score)
    assert explanation.runner_up is not None
    assert explanation.runner_up.label == list(answer.scores)[1]
    assert explanation.runner_up.probability == pytest.approx(list(answer.scores.values())[1])
    assert heedful.explain(classifier, TEXTS[0], target="train").label == "train"


@pytest.mark.parametrize("method", METHODS)
def test_a_text_over_the_window_is_explained_window_by_window(untrained: Make, method: str) -> None:
    for how in (LongInput.WINDOW, LongInput.ERROR):
        classifier = made(untrained, MODELS["encoder"])
        text = " ".join(TEXTS)
        logits = logits_of(classifier, text)
        classifier.card = classifier.card.model_copy(update={"long_input": how})
        explanation = heedful.explain(classifier, text, method=method)
        assert explanation.windows >= 3
        assert f"read in {explanation.windows} windows" in explanation.notes[0]
        assert ("refuses" in explanation.notes[0]) == (how is LongInput.ERROR)
        assert explanation.logit == pytest.approx(logits.max(), abs=1e-12)
        assert explanation.label == LABELS[logits.argmax()]
        assert all(word.score for word in explanation.words)
        if method == "contributions":
            assert total(explanation) == pytest.approx(explanation.logit, abs=1e-12)


def test_what_was_cut_is_said(untrained: Make) -> None:
    classifier = made(untrained, MODELS["encoder"], long_input="truncate")
    explanation = heedful.explain(classifier, " ".join(TEXTS))
    assert "tokens were cut" in explanation.notes[0]
    assert explanation.words[-1].score == 0


def test_both_texts_of_a_pair_are_explained(untrained: Make) -> None:
    classifier = made(untrained, MODELS["encoder"], pair=True)
    explanation = heedful.explain(classifier, ("my\ncard", "it rains, 密码"))
    assert explanation.text == "my\ncard\nit rains, 密码"
    assert [word.text for word in explanation.words] == ["my", "card", "it", "rains,", "密", "码"]
    assert total(explanation) == pytest.approx(explanation.logit, abs=1e-12)
    assert all(word.score for word in explanation.words)


@pytest.mark.parametrize("method", METHODS)
def test_sentences_have_what_their_words_have(classifier: TextClassifier, method: str) -> None:
    text = "My card? It will rain today. The train is late!"
    explanation = heedful.explain(classifier, text, method=method, by_sentence=True)
    assert [word.text for word in explanation.words] == ["My card?", "It will rain today.", "The train is late!"]
    by_word = heedful.explain(classifier, text, method=method)
    assert explanation.logit == by_word.logit
    if not METHODS[method].by_group:  # the whole of a sentence is more than its words one by one
        sums = [sum(word.score for word in by_word.words[start:stop]) for start, stop in ((0, 2), (2, 6), (6, 10))]
        assert [word.score for word in explanation.words] == pytest.approx(sums, abs=1e-12)


def test_other_labels_are_explained_beside(classifier: TextClassifier) -> None:
    explanation = heedful.explain(classifier, TEXTS[0], target="train", labels=1)
    labels = {label.label: label for label in explanation.labels}
    assert set(labels) == {heedful.explain(classifier, TEXTS[0]).label, "train"}
    for label in heedful.explain(classifier, TEXTS[0], labels=3).labels:
        own = heedful.explain(classifier, TEXTS[0], target=label.label)
        assert label.words == pytest.approx([word.score for word in own.words], abs=1e-12)
        assert sum(label.words) + label.special + label.bias == pytest.approx(own.logit, abs=1e-12)


@pytest.mark.parametrize("method", ["contributions", "integrated_gradients"])
def test_a_word_that_decides_ranks_first_in_a_trained_model(run: Run, texts: list[str], method: str) -> None:
    """Each label has words of its own, and all others are noise."""
    before = run.task.predict(texts[:12])
    for explanation in heedful.explain(run.task, texts[:12], method=method):
        best = max(explanation.words, key=lambda word: word.score)
        assert best.text in SIGNALS[explanation.label]
    assert run.task.predict(texts[:12]) == before


def test_hiding_the_words_that_count_is_worse_than_hiding_any(run: Run) -> None:
    explanation = heedful.explain(run.task, "is my plastic a not today my", verify=True)
    (first, *_) = explanation.verify
    assert [removal.k for removal in explanation.verify] == [1, 2, 3, 5]
    assert first.words == ("plastic",)
    assert first.probability < 0.9 < explanation.probability
    assert first.probability < first.random < explanation.probability


def test_other_weights_give_another_picture(untrained: Make) -> None:
    """An explanation that does not depend on the model explains nothing (Adebayo et al. 2018)."""
    rows = [{"text": text, "label": LABELS[number % 3]} for number, text in enumerate(TEXTS)]
    first, second = (heedful.explain(untrained(rows, seed=seed), TEXTS[0], target="rain") for seed in (1, 2))
    correlation = np.corrcoef([word.score for word in first.words], [word.score for word in second.words])[0, 1]
    assert abs(correlation) < 0.9


def test_json_says_it_all(classifier: TextClassifier) -> None:
    explanation = heedful.explain(classifier, TEXTS[0], labels=2, verify=True)
    told = json.loads(explanation.to_json())
    assert [word["text"] for word in told["words"]] == TEXTS[0].split()
    assert told["logit"] == explanation.logit
    assert len(told["labels"]) >= 2 and told["verify"][0]["k"] == 1


def test_what_cannot_be_explained_is_refused(classifier: TextClassifier, bag: TextClassifier) -> None:
    with pytest.raises(RequestError, match="'rian' is no label"):
        heedful.explain(classifier, "rain", target="rian")
    with pytest.raises(RequestError, match="'crad' is no label"):
        heedful.explain(classifier, "rain", against="crad")
    with pytest.raises(RequestError, match="cannot stand against it"):
        heedful.explain(classifier, "rain", target="rain", against="rain")
    with pytest.raises(RequestError, match="cannot stand against it"):
        heedful.explain(classifier, "rain", against=heedful.explain(classifier, "rain").label)
    with pytest.raises(RequestError, match="is no method"):
        heedful.explain(classifier, "rain", method="magic")
    with pytest.raises(RequestError, match="is empty"):
        heedful.explain(classifier, " \n")
    with pytest.raises(UnsupportedError, match="what is inside is not known"):
        heedful.explain(bag, "rain", method="contributions")
    with pytest.raises(UnsupportedError, match="no answers to explain"):
        heedful.explain("runs/demo", "rain")  # type: ignore[call-overload]
    with torch.no_grad():
        classifier.head.output.bias[0] = torch.nan
    with pytest.raises(JobError, match="not finite"):
        heedful.explain(classifier, "rain")
