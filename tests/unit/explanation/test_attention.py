"""The view of attention: exact weights of what was asked for, named, of a model that does not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.language_models import gpt2

import heedful
from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.explanation.alti import alti
from heedful.explanation.attention import KINDS, attention, attentions_of
from heedful.model import build, parse_spec
from heedful.nn.attention import AttentionKernel
from heedful.nn.lora import LoraLinear
from heedful.tasks import TextClassifier

TOLERANCE = 1e-14  # float64, of numbers of about 1; measured: 2e-16
ROWS = [{"text": "my card was swallowed", "label": "card"}, {"text": "rain today", "label": "weather"}]
TEXT = "my card 天气"
SOURCE, ANSWER = "The red dog sees a cat.", "The cat sees"
Make = Callable[..., Any]


@pytest.fixture
def classifier(untrained: Callable[..., TextClassifier]) -> TextClassifier:
    task = untrained(ROWS, model={"num_layers": 3, "num_heads": 4, "num_kv_heads": 2})
    task.network.double()
    return task


def formula(task: TextClassifier, text: str, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(Q Kᵀ / √K) and α (x W_V + b_V) W_O of a layer, head by head, from the states that enter it."""
    part = attentions_of(task.model, "encoder")[layer]  # type: ignore[arg-type]
    entering: list[torch.Tensor] = []
    hook = part.register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0][0]))
    task.predict([text])
    hook.remove()
    (x,) = entering
    width, groups = part.head_dim, part.num_heads // part.num_kv_heads
    weights, taken = [], []
    for head in range(part.num_heads):
        own, shared = (slice(number * width, (number + 1) * width) for number in (head, head // groups))
        scores = part.query(x)[:, own] @ part.key(x)[:, shared].T / width**0.5
        values = part.value(x)[:, shared] @ part.output.weight[:, own].T
        weights.append(scores.softmax(-1))
        taken.append((weights[-1][:, :, None] * values[None]).norm(dim=-1))
    return torch.stack(weights), torch.stack(taken)


@torch.no_grad()
def test_weights_and_norms_are_those_of_the_formula(classifier: TextClassifier) -> None:
    view = attention(classifier, TEXT, norms=True)
    assert view.kind == "encoder" and view.layers == (0, 1, 2) and view.heads == (0, 1, 2, 3)
    assert view.queries == view.tokens and view.tokens[0] == "<s>" and "".join(view.tokens[1:-1]) == "mycard天气"
    count = len(view.tokens)
    assert view.norms is not None and view.weights.shape == view.norms.shape == (3, 4, count, count)
    for layer in view.layers:
        weights, taken = formula(classifier, TEXT, layer)
        np.testing.assert_allclose(view.weights[layer], weights, atol=TOLERANCE)
        np.testing.assert_allclose(view.norms[layer], taken, atol=TOLERANCE)


def test_only_what_was_asked_for_is_worked_out(classifier: TextClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = attention(classifier, TEXT, norms=True)
    extra: list[tuple[int, ...]] = []
    forward = AttentionKernel.forward

    def counting(self: AttentionKernel, query: torch.Tensor, *others: Any) -> torch.Tensor:
        extra.append(tuple(query.shape[:2]))
        return forward(self, query, *others)

    monkeypatch.setattr(AttentionKernel, "forward", counting)
    view = attention(classifier, TEXT, layers=[2, 0], heads=[3], norms=True)
    assert sorted(extra) == [(1, 1)] * 2 + [(1, 4)] * 3, "each layer once, as always, and one head of two layers again"
    assert view.layers == (0, 2) and view.heads == (3,)
    assert view.norms is not None and whole.norms is not None
    np.testing.assert_allclose(view.weights, whole.weights[[0, 2]][:, [3]], atol=TOLERANCE)
    np.testing.assert_allclose(view.norms, whole.norms[[0, 2]][:, [3]], atol=TOLERANCE)
    assert attention(classifier, TEXT).norms is None


def test_a_model_that_is_watched_answers_the_same_bit_for_bit(classifier: TextClassifier) -> None:
    before = classifier.predict([TEXT, "rain"])
    classifier.network.train()
    quiet = attention(classifier, TEXT).weights
    assert classifier.network.training, "it goes on training"
    assert classifier.predict([TEXT, "rain"]) == before
    np.testing.assert_array_equal(attention(classifier, TEXT).weights, quiet)
    assert not any(module._forward_pre_hooks for module in classifier.network.modules()), "nobody watches any more"


def test_other_weights_give_another_picture(untrained: Callable[..., TextClassifier]) -> None:
    one, other = (attention(untrained(ROWS, seed=seed), TEXT, norms=True) for seed in (1, 2))
    assert one.norms is not None and other.norms is not None
    assert np.abs(one.weights - other.weights).max() > 0.05 and np.abs(one.norms - other.norms).max() > 0.05


def test_an_adapted_output_counts_with_its_adapter(classifier: TextClassifier) -> None:
    part = attentions_of(classifier.model, "encoder")[1]  # type: ignore[arg-type]
    before = attention(classifier, TEXT, layers=[1], norms=True).norms
    plain, adapted = part.output, LoraLinear(part.output, 2, alpha=4.0)
    torch.nn.init.normal_(adapted.up)
    part.output = adapted  # type: ignore[assignment]
    after = attention(classifier, TEXT, layers=[1], norms=True).norms
    part.output = plain
    plain.weight.data += adapted.delta()
    merged = attention(classifier, TEXT, layers=[1], norms=True).norms
    assert before is not None and after is not None and merged is not None
    np.testing.assert_allclose(after, merged, atol=TOLERANCE)
    assert np.abs(after - before).max() > 0.1


def test_a_layer_that_is_run_twice_has_two_pictures(classifier: TextClassifier) -> None:
    classifier.model.encoder.order = (0, 1, 0)  # type: ignore[attr-defined]
    view = attention(classifier, TEXT, layers=[0, 2])
    assert view.layers == (0, 2) and not np.allclose(view.weights[0], view.weights[1])


def of_layers(task: TextClassifier, **stacks: dict[str, Any]) -> TextClassifier:
    """A classifier with the same head over other layers."""
    spec = parse_spec({"d_model": 16, "vocabulary_size": task.tokenizer.vocabulary_size, **stacks})
    return TextClassifier(build(spec, seed=2), task.head, task.tokenizer, task.card)


def test_layers_with_other_numbers_of_heads_are_no_one_picture(untrained: Callable[..., TextClassifier]) -> None:
    layer = {"norm_placement": "pre", "feed_forward": {"d_ff": 8}}
    layers = [layer | {"self_attention": {"num_heads": heads, "head_dim": 4}} for heads in (2, 3)]
    layers.insert(1, layer)  # it looks at nothing
    task = of_layers(untrained(ROWS), encoder={"embeddings": {}, "layers": layers})
    with pytest.raises(RequestError, match="2 or 3 heads"):
        attention(task, TEXT)
    assert attention(task, TEXT, layers=[2]).weights.shape[:2] == (1, 3)
    assert attention(task, TEXT, heads=[1, 0]).layers == (0, 2)
    with pytest.raises(RequestError, match="no layer 1\nChoose from 0, 2"):
        attention(task, TEXT, layers=[1])
    with pytest.raises(RequestError, match="no head 2\nChoose from 0, 1"):
        attention(task, TEXT, heads=[2])


# What is written


def test_what_an_answer_looked_at(ignorant: Make) -> None:
    task = ignorant("translation")
    cross = attention(task, SOURCE, answer=ANSWER)
    assert cross.kind == "cross"
    assert "".join(cross.tokens[1:-1]).replace(" ", "") == SOURCE.replace(" ", "")
    assert "".join(cross.queries[:-1]) == ANSWER and cross.queries[-1] == "</s>"
    np.testing.assert_allclose(cross.weights.sum(-1), 1, atol=TOLERANCE)
    inner = attention(task, SOURCE, answer=ANSWER, kind="decoder", norms=True)
    assert inner.tokens == inner.queries == (inner.tokens[0], *cross.queries[:-1]), "what it read, one place later"
    assert inner.norms is not None
    for numbers in (inner.weights, inner.norms):
        assert not np.triu(numbers, 1).any(), "nothing of what comes later"
    reader = attention(task, SOURCE, answer=ANSWER, kind="encoder")
    assert reader.queries == cross.tokens and reader.weights.shape[-1] == len(reader.tokens)
    brief = task.card.generation.model_copy(update={"max_new_tokens": 6})
    task.card = task.card.model_copy(update={"generation": brief})
    own = attention(task, SOURCE)
    assert len(own.queries) == 6 and "".join(own.queries).strip() == task.predict([SOURCE])[0].text


def test_what_a_decoder_alone_looked_at(tmp_path: Path) -> None:
    task = heedful.load(gpt2(tmp_path), task="summarization")
    view = attention(task, "the cat", answer="a dog")
    assert view.kind == "decoder" and view.queries == view.tokens
    read = "".join(view.tokens)
    assert "the cat" in read and read.endswith("a dog"), "prompt and answer, all but its end"
    assert not np.triu(view.weights, 1).any()
    with pytest.raises(UnsupportedError, match="no attention of kind cross\nAsk for decoder"):
        attention(task, "the cat", answer="a dog", kind="cross")


def test_a_classifier_of_both_stacks_has_all_kinds(untrained: Callable[..., TextClassifier]) -> None:
    attending = {"num_heads": 2, "head_dim": 8}
    layer = {"norm_placement": "pre", "self_attention": attending, "feed_forward": {"d_ff": 8}}
    decoder = {"embeddings": {}, "layers": [layer | {"cross_attention": attending}]}
    both = of_layers(untrained(ROWS), encoder={"embeddings": {}, "layers": [layer, layer]}, decoder=decoder)
    views = {kind: attention(both, TEXT, kind=kind) for kind in KINDS}
    assert attention(both, TEXT).kind == "encoder"
    names = views["encoder"].tokens
    assert len(views["encoder"].layers) == 2
    assert views["cross"].tokens == names and views["cross"].queries == views["decoder"].tokens
    assert views["decoder"].tokens[1:] == names[:-1], "read once more, one place to the right"
    shares = alti(both, TEXT)
    assert shares.tokens == (*names, *views["decoder"].tokens) and shares.queries == views["decoder"].tokens
    np.testing.assert_allclose(shares.shares.sum(-1), 1, atol=1e-6)


def test_what_cannot_be_seen_is_refused(classifier: TextClassifier, untrained: Callable[..., TextClassifier]) -> None:
    with pytest.raises(RequestError, match="'crss' is no kind of attention; did you mean cross"):
        attention(classifier, TEXT, kind="crss")
    with pytest.raises(UnsupportedError, match="no attention of kind decoder\nAsk for encoder"):
        attention(classifier, TEXT, kind="decoder")
    with pytest.raises(RequestError, match="no layer 7\nChoose from 0, 1, 2"):
        attention(classifier, TEXT, layers=[0, 7])
    with pytest.raises(RequestError, match="no head -1"):
        attention(classifier, TEXT, heads=[-1])
    with pytest.raises(RequestError, match="no layer is asked for"):
        attention(classifier, TEXT, layers=[])
    with pytest.raises(InputTooLongError, match="windows of 8 tokens"):
        attention(untrained(ROWS, max_length=8, long_input="window"), "rain " * 30)
