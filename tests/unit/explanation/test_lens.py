"""What each layer would have answered: its own head on its states, and the model's answer at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.language_models import gpt2

import heedful
from heedful.data import Example
from heedful.errors import RequestError, UnsupportedError
from heedful.explanation.lens import LabelLens, TokenLens, logit_lens
from heedful.explanation.passes import case_of
from heedful.model import UniformSpec, build
from heedful.tasks import TextClassifier
from heedful.training import Run

ROWS = [{"text": "my card was swallowed", "label": "card"}, {"text": "rain today", "label": "weather"}]
TEXT = "my card 天气"
SOURCE = "The red dog sees a cat."
Make = Callable[..., Any]


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_the_last_layer_is_the_classifiers_answer(untrained: Callable[..., TextClassifier], placement: str) -> None:
    task = untrained(ROWS, model={"num_layers": 3, "norm_placement": placement})
    task.card = task.card.model_copy(update={"temperature": 0.5})
    lens = logit_lens(task, TEXT)
    assert isinstance(lens, LabelLens)
    assert lens.labels == task.labels and lens.probabilities.shape == (4, 2)
    assert dict(zip(lens.labels, lens.probabilities[-1].tolist(), strict=True)) == task.predict([TEXT])[0].scores
    np.testing.assert_allclose(lens.probabilities.sum(-1), 1, atol=1e-15)
    assert len({tuple(row) for row in lens.probabilities.tolist()}) == 4, "each layer says something else"


def test_a_layer_before_is_a_model_that_ends_there(untrained: Callable[..., TextClassifier]) -> None:
    task = untrained(ROWS, model={"num_layers": 3})
    lens = logit_lens(task, TEXT)
    for count in range(4):
        task.model.encoder.order = tuple(range(count))  # type: ignore[attr-defined]
        assert dict(zip(task.labels, lens.probabilities[count].tolist(), strict=True)) == task.predict([TEXT])[0].scores


def test_a_trained_model_knows_more_in_the_end(run: Run) -> None:
    lens = logit_lens(run.task, "card swallowed stolen")
    assert isinstance(lens, LabelLens)
    place = lens.labels.index("card")
    assert lens.probabilities[-1, place] > 0.9


@pytest.mark.parametrize("pointer", [None, {}])
def test_the_last_layer_writes_what_the_model_writes(ignorant: Make, pointer: dict[str, Any] | None) -> None:
    task = ignorant("translation")
    uniform = UniformSpec(d_model=32, num_layers=2, num_heads=2, pointer=pointer)
    model = build(uniform.encoder_decoder(task.tokenizer.vocabulary_size), seed=2).double().eval()
    task = type(task)(model, task.tokenizer, task.card)
    brief = task.card.generation.model_copy(update={"max_new_tokens": 6, "num_beams": 1})
    task.card = task.card.model_copy(update={"generation": brief})
    lens = logit_lens(task, SOURCE, top=3)
    assert isinstance(lens, TokenLens)
    assert len(lens.written) == 6 and lens.probabilities.shape == (3, 6, 3)
    tokens = case_of(task, SOURCE).finished.tokens
    batch = task.architecture.batch(task.encode_sources([Example(SOURCE, None, (), 1)])[0][:1], [tokens])
    with torch.no_grad():
        best = task.model.logits(*task.architecture.hidden(batch, batch.ids))[0].softmax(-1).topk(3)
    assert lens.probabilities[-1].tolist() == best.values.tolist()
    assert [place[0] for place in lens.tokens[-1]] == _names(task, best.indices[:, 0])
    # What rules of the search forbid, such as a second start token, may stand before what was written.
    assert [next(name for name in place if name != "<s>") for place in lens.tokens[-1]] == _names(task, tokens)
    assert (np.diff(lens.probabilities, axis=-1) <= 0).all(), "the most probable first"
    assert lens.tokens[0] != lens.tokens[-1]


def _names(task: Any, tokens: Iterable[Any]) -> list[str]:
    return [task.target_tokenizer.decode([int(token)], skip_special=False) for token in tokens]


def test_a_language_model_writes_behind_its_prompt(tmp_path: Path) -> None:
    task = heedful.load(gpt2(tmp_path), task="summarization")
    lens = logit_lens(task, "the cat", answer="a dog")
    assert isinstance(lens, TokenLens)
    assert "".join(lens.written[:-1]) == "a dog" and lens.probabilities.shape == (3, len(lens.written), 5)
    finished = case_of(task, "the cat", "a dog").finished
    ids = torch.tensor([[*finished.prompt, *finished.tokens[:-1]]])
    with torch.inference_mode():
        best = task.model.logits(task.model.decode(ids))[0, len(finished.prompt) - 1 :].softmax(-1).max(-1)
    assert lens.probabilities[-1, :, 0].tolist() == best.values.tolist()


def test_what_has_no_layers_to_read_is_refused(untrained: Callable[..., TextClassifier]) -> None:
    task = untrained(ROWS)
    with pytest.raises(RequestError, match="0 tokens are asked for"):
        logit_lens(task, TEXT, top=0)
    with pytest.raises(UnsupportedError, match="no task with a Transformer"):
        logit_lens(task.network, TEXT)  # type: ignore[arg-type]
