"""What an explanation says is what the model does."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

import heedful
from heedful.data import Columns, Example
from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.explanation.words import words_of
from heedful.model import ClassificationHeadSpec, build_head
from heedful.tasks import ClassifierCard, TextClassifier
from heedful.text import LongInput, Tokenizer, TokenizerSettings
from heedful.training import Run

LABELS = ("card", "rain", "train")
TEXTS = ["my new card arrived", "it will rain today", "the train is late", "密码忘了怎么办", "where's my card?"] * 3


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
def classifier(request: pytest.FixtureRequest) -> TextClassifier:
    tokenizer = Tokenizer.train(TEXTS, TokenizerSettings(kind=request.param, vocabulary_size=400))
    torch.manual_seed(0)
    head = ClassificationHeadSpec(num_labels=3)
    card = ClassifierCard(labels=LABELS, max_length=400, long_input=LongInput.ERROR, head=head)
    made = TextClassifier(Bag(tokenizer.vocabulary_size).double(), build_head(head, 6).double(), tokenizer, card)
    made.network.eval()
    return made


@pytest.mark.parametrize("text", TEXTS[:5])
def test_a_score_is_the_fall_of_the_logit_without_the_word(text: str, classifier: TextClassifier) -> None:
    """Of a linear model it is known: each hidden token takes its own share away."""
    explanation = heedful.explain(classifier, text, target="rain")
    (encoding,) = classifier.tokenizer.encode_batch([text])
    assert isinstance(classifier.model, Bag)
    table, output = classifier.model.table.weight, classifier.head.output
    shares = (table[encoding.ids] - table[classifier.tokenizer.special.mask]) @ output.weight[1] / len(encoding)
    expected = [float(shares[places].sum().detach()) for _, places in words_of(text, encoding)]
    assert explanation.scores == pytest.approx(expected, abs=1e-12)
    assert explanation.logit == pytest.approx(classifier.score([_example(text)]).logits[0, 1], abs=1e-12)


def _example(text: str) -> Example:
    return Example(text, None, (), 1)


def test_words_are_those_of_the_text(classifier: TextClassifier) -> None:
    explanation = heedful.explain(classifier, "where's  my 密码?")
    assert explanation.words == ("where's", "my", "密", "码", "?")
    assert [explanation.text[start:end] for start, end in explanation.offsets] == list(explanation.words)


def test_the_most_probable_label_is_explained_unless_another_is_asked_for(classifier: TextClassifier) -> None:
    (answer,) = classifier.predict([TEXTS[0]])
    assert heedful.explain(classifier, TEXTS[0]).label == answer.label
    assert heedful.explain(classifier, TEXTS[0], target="train").label == "train"


def test_a_long_text_is_explained_in_batches(classifier: TextClassifier) -> None:
    explanation = heedful.explain(classifier, " ".join(["rain"] * 70), target="rain")
    assert json.loads(explanation.to_json())["words"] == ["rain"] * 70
    inner = explanation.scores[1:]
    assert inner == pytest.approx([inner[0]] * 69, abs=1e-12)


def test_a_word_that_decides_ranks_first_in_a_trained_model(run: Run, texts: list[str]) -> None:
    before = run.task.predict(texts[:4])
    for text in texts[:4]:
        explanation = heedful.explain(run.task, text)
        best = explanation.words[explanation.scores.index(max(explanation.scores))]
        left = text.replace(best, " ", 1)
        if left.strip():
            index = run.task.labels.index(explanation.label)
            assert run.task.score([_example(left)]).logits[0, index] < explanation.logit
    assert run.task.predict(texts[:4]) == before


def test_what_cannot_be_explained_is_refused(classifier: TextClassifier) -> None:
    with pytest.raises(RequestError, match="'rian' is no label"):
        heedful.explain(classifier, "rain", target="rian")
    with pytest.raises(RequestError, match="is no method"):
        heedful.explain(classifier, "rain", method="magic")
    with pytest.raises(RequestError, match="no word"):
        heedful.explain(classifier, " \n")
    with pytest.raises(InputTooLongError, match="reads 400 at once"):
        heedful.explain(classifier, "rain " * 500)
    with pytest.raises(UnsupportedError, match="classifiers"):
        heedful.explain("runs/demo", "rain")  # type: ignore[arg-type]
    pairs = classifier.card.model_copy(update={"columns": Columns(pair="second")})
    reader = TextClassifier(classifier.model, classifier.head, classifier.tokenizer, pairs)
    with pytest.raises(UnsupportedError, match="pairs"):
        heedful.explain(reader, "rain")
