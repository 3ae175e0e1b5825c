"""Shares of tokens in states: the papers' formula, written out in loops, and what must hold of any shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heedful.data import Example
from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.explanation.alti import MAX_NUMBERS, alti, mix, recorded, source_share
from heedful.model import Transformer, UniformSpec, build
from heedful.nn import Layer, UnitOffsetRMSNorm
from heedful.tasks import TextClassifier
from heedful.tasks.text_to_text.trust import Finished

TOLERANCE = 1e-14  # float64; measured: 2e-15
UNIFORM = {"d_model": 12, "num_layers": 2, "num_heads": 3, "d_ff": 20, "dropout": 0.1}
SIZE = 30
SHAPES: dict[str, dict[str, Any]] = {
    "pre": {},
    "post": {"norm_placement": "post"},
    "sandwich": {"norm_placement": "sandwich"},
    "rms": {"norm": {"kind": "rms"}, "attention_bias": False},
    "post_rms": {"norm": {"kind": "rms", "unit_offset": True}, "norm_placement": "post"},
    "none": {"norm_placement": "none"},
    "parallel": {"parallel": True},
    "parallel_sandwich": {"parallel": True, "norm_placement": "sandwich"},
    "grouped": {"num_heads": 4, "num_kv_heads": 2, "head_dim": 6, "positions": "rotary"},
}


def made(kind: str, **changes: Any) -> Transformer:
    """A model whose every weight is random, so that nothing cancels by chance."""
    model = build(getattr(UniformSpec.model_validate({**UNIFORM, **changes}), kind)(SIZE), seed=3).double().eval()
    chance = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data += torch.randn(parameter.shape, generator=chance, dtype=torch.float64) * 0.3
    return model


ANSWERS = {
    "encoder_decoder": Finished((4, 7, 9, 11, 4), (1,), (6, 8, 5, 2)),
    "decoder": Finished((), (4, 7, 9), (6, 8, 5, 2)),
}


def linear(norm: nn.Module, at: Tensor, vector: Tensor) -> Tensor:
    """A norm with the scale that it has at a state (D,), of a vector (D,), without its bias."""
    if isinstance(norm, nn.Identity):
        return vector
    centred = isinstance(norm, nn.LayerNorm)
    assert isinstance(norm, nn.LayerNorm | nn.RMSNorm)
    spread = (at - at.mean() * centred).pow(2).mean()
    epsilon = torch.finfo(at.dtype).eps if norm.eps is None else norm.eps
    weight = norm.weight + isinstance(norm, UnitOffsetRMSNorm)
    return weight * (vector - vector.mean() * centred) / (spread + epsilon).sqrt()


def in_loops(model: Transformer, answer: Finished) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Shares (T, T) of what the decoder reads and (T, S) of the memory, token by token."""
    assert model.decoder is not None
    memory = None if model.encoder is None else model.encode(torch.tensor([answer.source]))
    x = model.decoder.embeddings(
        model.token_embedding(torch.tensor([[*answer.prompt, *answer.tokens[:-1]]])),
        torch.arange(10)[: _length(answer)],
    )
    seen: list[dict[str, Tensor]] = []

    def keep(layer: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], output: Tensor) -> None:
        seen.append({"in": inputs[0], "positions": options["positions"], "out": output})

    hooks = [layer.register_forward_hook(keep, with_kwargs=True) for layer in model.decoder.layers]
    model.decode(torch.tensor([[*answer.prompt, *answer.tokens[:-1]]]), memory)
    for hook in hooks:
        hook.remove()
    assert torch.equal(seen[0]["in"], x)
    length = x.shape[1]
    read: Any = np.eye(length)
    looked: Any = None if memory is None else np.zeros((length, memory.shape[1]))
    for layer, states in zip(model.decoder.layers, seen, strict=True):
        assert isinstance(layer, Layer)
        for own, across in blocks(layer, states, None if memory is None else memory[0]):
            read = own @ read
            looked = None if looked is None else own @ looked + (0 if across is None else across)
    return read, looked


def _length(answer: Finished) -> int:
    return len(answer.prompt) + len(answer.tokens) - 1


def blocks(layer: Layer, seen: dict[str, Any], memory: Tensor | None) -> list[tuple[Any, Any]]:
    """Shares of each attention block of a layer."""
    x = seen["in"][0]
    slots: list[tuple[Any, Any, Tensor | None]] = [(layer.self_attention, layer.self_attention_residual, None)]
    if memory is not None:
        slots.append((layer.cross_attention, layer.cross_attention_residual, memory))
    found = []
    groups = [slots] if layer.parallel else [[slot] for slot in slots]
    for group in groups:
        own = x
        if layer.parallel:
            assert layer.feed_forward_residual is not None and layer.feed_forward is not None
            own = x + layer.feed_forward_residual.branch(x[None], layer.feed_forward)[0]
        vectors = torch.zeros(len(x), 0, x.shape[-1], dtype=x.dtype)  # (T, N, D)
        total, biases = own, torch.zeros_like(x)
        widths = []
        for attention, residual, source in group:
            assert attention is not None and residual is not None
            entering = residual.norm_before(x)
            parts, bias = attention_parts(
                attention, entering, entering if source is None else source, seen["positions"], source is None
            )
            output = parts.sum(1) + bias
            total = total + residual.norm_after(output)
            inner = torch.stack(
                [
                    torch.stack([linear(residual.norm_after, z, p) for p in row])
                    for z, row in zip(output, parts, strict=True)
                ]
            )
            biases = biases + residual.norm_after(output) - inner.sum(1)
            vectors = torch.cat([vectors, inner], 1)
            widths.append(inner.shape[1])
        norm = nn.Identity() if layer.parallel else group[0][1].norm_sum
        y = norm(total)
        if group[0][2] is not None:
            vectors = torch.cat([torch.zeros(len(x), len(x), x.shape[-1], dtype=x.dtype), vectors], 1)
        for place in range(len(x)):
            vectors[place, place] += own[place]
        vectors = torch.stack(
            [torch.stack([linear(norm, z, p) for p in row]) for z, row in zip(total, vectors, strict=True)]
        )
        rest = y - vectors.sum(1)
        expected = norm(total) - torch.stack([linear(norm, z, z - b) for z, b in zip(total, biases, strict=True)])
        torch.testing.assert_close(rest, expected, atol=1e-12, rtol=0)  # vectors and biases are all of y
        near = (y.abs().sum(-1, keepdim=True) - (y[:, None] - vectors).abs().sum(-1)).clamp(min=0)
        assert bool((near.sum(-1) > 0).all()), "these models need no fallback"
        shares = (near / near.sum(-1, keepdim=True)).numpy()
        found.append((shares[:, : len(x)], shares[:, len(x) :] if shares.shape[1] > len(x) else None))
        x = y
    return found


def attention_parts(attention: Any, x: Tensor, source: Tensor, positions: Any, causal: bool) -> tuple[Tensor, Tensor]:
    """What each key gives to each query, (T, S, D), and the bias (D,)."""
    heads, width, groups = attention.num_heads, attention.head_dim, attention.num_heads // attention.num_kv_heads
    query = attention.query(x).view(len(x), heads, width).transpose(0, 1)
    key, value = (
        part(source).view(len(source), -1, width).transpose(0, 1) for part in (attention.key, attention.value)
    )
    if causal and positions is not None:
        query, key = positions.apply(query[None])[0], positions.apply(key[None])[0]
    parts = torch.zeros(len(x), len(source), x.shape[-1], dtype=x.dtype)
    for head in range(heads):
        scores = query[head] @ key[head // groups].T / width**0.5
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1) > 0, -torch.inf)
        weights = scores.softmax(-1)
        made = value[head // groups] @ attention.output.weight[:, head * width : (head + 1) * width].T
        parts = parts + weights[:, :, None] * made[None]
    return parts, torch.zeros(x.shape[-1]) if attention.output.bias is None else attention.output.bias


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_shares_are_those_of_the_formula(shape: str, kind: str) -> None:
    model, answer = made(kind, **SHAPES[shape]), ANSWERS[kind]
    read, looked = in_loops(model, answer)
    share = source_share(model, answer)
    assert share.shape == (len(answer.tokens),)
    if looked is None:
        expected = read[-len(answer.tokens) :, : len(answer.prompt)].sum(-1)
        assert share[0] == pytest.approx(1, abs=TOLERANCE), "there was only the prompt"
    else:
        expected = looked.sum(-1)
    np.testing.assert_allclose(share, expected, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ANSWERS)
def test_models_of_half_precision_have_shares_too(kind: str) -> None:
    model, answer = made(kind), ANSWERS[kind]
    exact = source_share(model, answer)
    np.testing.assert_allclose(source_share(model.to(torch.bfloat16), answer), exact, atol=0.02)  # measured: 0.009


def test_a_decoder_that_never_looks_at_the_source_has_none_of_it() -> None:
    model, answer = made("encoder_decoder"), ANSWERS["encoder_decoder"]
    assert model.decoder is not None and min(source_share(model, answer)) > 0.1
    for layer in model.decoder.layers:
        assert isinstance(layer, Layer) and layer.cross_attention is not None
        layer.cross_attention.output.weight.data.zero_()
    assert source_share(model, answer).tolist() == [0] * 4


@torch.no_grad()
def test_shares_through_the_encoder_are_those_of_the_words_that_were_read() -> None:
    """The tokens of a memory are mixtures: what is looked at is split as they are."""
    model, answer = made("encoder_decoder"), ANSWERS["encoder_decoder"]
    assert model.encoder is not None and model.decoder is not None
    with recorded(model.encoder) as read, recorded(model.decoder) as written:
        memory = model.encode(torch.tensor([answer.source]))
        model.decode(torch.tensor([[*answer.prompt, *answer.tokens[:-1]]]), memory)
    encoded = mix(read).read
    through, raw = mix(written, encoded), mix(written)
    assert through.memory is not None and raw.memory is not None
    torch.testing.assert_close(through.memory, raw.memory @ encoded, atol=TOLERANCE, rtol=0)
    assert not torch.allclose(through.memory, raw.memory, atol=1e-2)
    torch.testing.assert_close(through.read, raw.read, atol=0, rtol=0)


@torch.no_grad()
def test_padding_changes_no_share() -> None:
    model = made("encoder", window=3)
    assert model.encoder is not None
    ids = torch.tensor([[4, 7, 9, 11, 4], [5, 6, 8, 0, 0]])
    with recorded(model.encoder) as batch:
        model.encode(ids, ids > 0)
    with recorded(model.encoder) as alone:
        model.encode(ids[1:, :3])
    shares = mix(batch).read
    torch.testing.assert_close(shares[1, :3, :3], mix(alone).read[0], atol=TOLERANCE, rtol=0)
    assert float(shares[1, :3, 3:].abs().max()) == 0
    torch.testing.assert_close(shares.sum(-1), torch.ones_like(shares[..., 0]), atol=TOLERANCE, rtol=0)


def test_a_layer_that_is_run_twice_mixes_twice() -> None:
    model, answer = made("encoder_decoder"), ANSWERS["encoder_decoder"]
    twice = made("encoder_decoder", num_layers=3)
    assert model.decoder is not None and twice.decoder is not None
    first, second = model.decoder.layers
    model.decoder.order = (0, 1, 0)
    for ours, theirs in zip(twice.decoder.layers, (first, second, first), strict=True):
        ours.load_state_dict(theirs.state_dict())
    twice.load_state_dict(
        {name: tensor for name, tensor in model.state_dict().items() if "layers" not in name}, strict=False
    )
    assert model.encoder is not None and twice.encoder is not None
    twice.encoder = model.encoder
    assert source_share(model, answer).tolist() == source_share(twice, answer).tolist()


def test_vectors_are_held_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, answer in ANSWERS.items():
        model = made(kind)
        whole = source_share(model, answer)
        for numbers in (1, 200):
            monkeypatch.setattr("heedful.explanation.alti.MAX_NUMBERS", numbers)
            np.testing.assert_allclose(source_share(model, answer), whole, atol=TOLERANCE)
        monkeypatch.setattr("heedful.explanation.alti.MAX_NUMBERS", MAX_NUMBERS)


def cancelling(*, nearest: float = 0.5) -> Transformer:
    """An encoder of one layer and no norm in which two tokens' vectors are large and point away from each other.

    With attention spread evenly, the states are (1, 0) and (-nearest, 0) and the values 100 of them.
    """
    model = build(
        UniformSpec.model_validate(
            {
                "d_model": 2,
                "num_layers": 1,
                "num_heads": 1,
                "d_ff": 1,
                "norm_placement": "none",
                "positions": None,
                "scaled_embeddings": False,
            }
        ).encoder(2)
    ).double()
    model.token_embedding.weight.data = torch.tensor([[1.0, 0], [-nearest, 0]], dtype=torch.float64)
    assert model.encoder is not None
    (layer,) = model.encoder.layers
    assert isinstance(layer, Layer) and layer.self_attention is not None
    for name, parameter in layer.self_attention.named_parameters():
        parameter.data.zero_()
        if name in ("value.weight", "output.weight"):
            parameter.data.copy_(torch.eye(2) * 10)
    return model.eval()


def shares_of(model: Transformer, ids: list[int]) -> list[list[float]]:
    assert model.encoder is not None
    with torch.no_grad(), recorded(model.encoder) as runs:
        model.encode(torch.tensor([ids]))
        rows: list[list[float]] = mix(runs).read[0].tolist()
    return rows


def test_where_vectors_cancel_the_nearest_has_the_whole_share() -> None:
    """y = (1 + 50 - 49.5, 0) = (1.5, 0): the token's own vector is 51, the other's -49.5, and neither is near."""
    assert shares_of(cancelling(nearest=0.99), [0, 1]) == [[1, 0], [0, 1]]


def test_where_vectors_cancel_and_are_as_near_they_share() -> None:
    """The second token twice, in a text of three: two equal vectors and the token's own, which is farther."""
    model = cancelling(nearest=0.5)
    # Row 0: y = 1 + (100 - 50 - 50) / 3 = 1; vectors 34.3, -16.7, -16.7: none is nearer than 0.
    assert shares_of(model, [0, 1, 1])[0] == [0, 0.5, 0.5]


def test_the_nearest_is_the_last_to_vanish() -> None:
    """Up to where all proximities are 0, the share of the nearest grows to all there is: the fallback goes on there."""
    rows = np.array([shares_of(cancelling(nearest=nearest), [0, 0, 1])[0] for nearest in np.linspace(1.5, 1.54, 41)])
    # The token's own proximity is 101 - 66.7 · nearest, above 0 until 1.515; the second's 102 - 66.7 · nearest.
    np.testing.assert_allclose(rows[0], [1 / 3, 2 / 3, 0], atol=1e-12)
    assert rows[20].tolist() == rows[-1].tolist() == [0, 1, 0]
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-15)
    assert np.abs(np.diff(rows, axis=0)).max() < 0.07, "nothing jumps"


# Tasks


def test_a_classifier_says_what_is_in_its_states(untrained: Callable[..., TextClassifier]) -> None:
    rows = [{"text": "my card was swallowed", "label": "card"}, {"text": "rain today", "label": "weather"}]
    for form in ({}, {"norm_placement": "post"}):
        task = untrained(rows, model=form)
        before = task.predict(["my card 天气"])
        found = alti(task, "my card 天气")
        assert task.predict(["my card 天气"]) == before
        (encoding,) = task.tokenizer.encode_batch(["my card 天气"])
        assert found.queries == found.tokens and len(found.tokens) == len(encoding)
        assert found.tokens[0] == "<s>" and "".join(found.tokens[1:-1]) == "mycard天气"
        assert found.shares.min() >= 0
        np.testing.assert_allclose(found.shares.sum(-1), 1, atol=1e-6)
        other = alti(untrained(rows, model=form, seed=2), "my card 天气")
        assert np.abs(found.shares - other.shares).max() > 0.02, "other weights, other shares"


def test_an_answers_shares_are_of_source_and_prefix(ignorant: Callable[..., Any]) -> None:
    task = ignorant("translation")
    text = "The red dog sees a cat."
    found = alti(task, text, answer="The cat sees")
    count = found.tokens.index("</s>") + 1
    assert "".join(found.tokens[1 : count - 1]).replace(" ", "") == text.replace(" ", "")
    assert found.queries[-1] == "</s>" and "".join(found.queries[:-1]) == "The cat sees"
    assert found.tokens[count + 1 :] == found.queries[:-1], "behind the source, what was written before"
    np.testing.assert_allclose(found.shares.sum(-1), 1, atol=TOLERANCE)
    assert np.abs(np.triu(found.shares[:, count:], 1)).max() == 0, "nothing of what comes later"
    (tokens,) = task.encode_targets([Example(text, None, (), 1, target="The cat sees")])
    again = alti(task, text, answer=tokens)
    assert again.queries == found.queries and np.array_equal(again.shares, found.shares)
    brief = task.card.generation.model_copy(update={"max_new_tokens": 6})
    task.card = task.card.model_copy(update={"generation": brief})
    own = alti(task, text)
    assert len(own.queries) == 6 and "".join(own.queries).strip() == task.predict([text])[0].text


def test_what_has_no_shares_is_refused(untrained: Callable[..., TextClassifier], ignorant: Callable[..., Any]) -> None:
    rows = [{"text": "my card was swallowed", "label": "card"}, {"text": "rain today", "label": "weather"}]
    task = untrained(rows)
    with pytest.raises(UnsupportedError, match="writes no answer"):
        alti(task, "rain", answer="Regen")
    with pytest.raises(UnsupportedError, match="no task with a Transformer"):
        alti(made("encoder"), "rain")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="empty"):
        alti(task, "  ")
    with pytest.raises(InputTooLongError, match="windows of 8 tokens"):
        alti(untrained(rows, max_length=8, long_input="window"), "rain " * 30)
    writer = ignorant("translation")
    with pytest.raises(RequestError, match="no token"):
        alti(writer, "A dog.", answer=[])
    with pytest.raises(UnsupportedError, match="single texts"):
        alti(writer, ("A dog.", "A cat."))
