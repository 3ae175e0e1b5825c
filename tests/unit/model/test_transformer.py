"""What every Transformer promises, whatever it is made of: padding, batching and caching change nothing."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.gradcheck import gradcheck
from torch.func import functional_call

from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.model import PositionKind, Transformer, UniformSpec, build, parse_spec

VOCABULARY, MAX_POSITIONS = 17, 9
EXACT = 1e-13  # measured: 3e-15
TOLERANCES = {torch.float64: EXACT, torch.float32: 2e-6}  # of the largest state; measured in float32: 8e-7


@cache
def make_model(uniform: UniformSpec, form: str, dtype: torch.dtype = torch.float64) -> Transformer:
    """A model with weights drawn wide enough that no part of it is idle."""
    model = build(getattr(uniform, form)(VOCABULARY, max_positions=MAX_POSITIONS), seed=0).to(dtype)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            nn.init.normal_(parameter, mean=float("norm" in name), std=0.1, generator=generator)
    return model.eval()


def pad(rows: list[list[int]], *, width: int, left: bool) -> tuple[Tensor, Tensor]:
    """Rows of ids as (ids, mask), with other tokens than 0 in the padding, which must not matter."""
    gaps = [[VOCABULARY - 1] * (width - len(row)) for row in rows]
    ids = [gap + row if left else row + gap for row, gap in zip(rows, gaps, strict=True)]
    first = [len(gap) if left else 0 for gap in gaps]
    places = torch.arange(width)
    mask = [(places >= start) & (places < start + len(row)) for start, row in zip(first, rows, strict=True)]
    return torch.tensor(ids), torch.stack(mask)


def read(model: Transformer, ids: Tensor, mask: Tensor | None) -> Tensor:
    """Hidden states of the stack that reads ``ids``; an encoder's output is taken through a decoder too."""
    if model.encoder is None:
        return model.decode(ids, mask=mask)
    memory = model.encode(ids, mask)
    if model.decoder is None:
        return memory
    target = torch.tensor([[1, 2, 3]]).expand(len(ids), -1)
    return model.decode(target, memory, mask)


def real_states(model: Transformer, rows: list[list[int]], *, width: int, left: bool) -> list[Tensor]:
    ids, mask = pad(rows, width=width, left=left)
    states = read(model, ids, mask)
    if model.encoder is not None and model.decoder is not None:
        return list(states)
    return [state[real] for state, real in zip(states, mask, strict=True)]


FORMS = ["encoder", "decoder", "encoder_decoder"]
texts = st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=MAX_POSITIONS), min_size=1, max_size=5)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(rows=texts, left=st.booleans(), data=st.data())
def test_padding_and_batching_change_nothing(
    uniform: UniformSpec, form: str, dtype: torch.dtype, rows: list[list[int]], left: bool, data: st.DataObject
) -> None:
    model = make_model(uniform, form, dtype)
    width = data.draw(st.integers(max(map(len, rows)), MAX_POSITIONS))
    order = data.draw(st.permutations(range(len(rows))))
    together = real_states(model, [rows[index] for index in order], width=width, left=left)
    for index, state in zip(order, together, strict=True):
        alone = read(model, torch.tensor([rows[index]]), None)[0]
        assert alone.shape == state.shape
        assert (alone - state).abs().max() <= TOLERANCES[dtype] * alone.abs().max()


@pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])
@pytest.mark.parametrize("form", ["decoder", "encoder_decoder"])
@settings(max_examples=6, deadline=None)
@given(cuts=st.sets(st.integers(1, 7)), seed=st.integers(0, 2**16))
def test_decoding_in_steps_equals_one_full_pass(
    uniform: UniformSpec, form: str, padded: bool, cuts: set[int], seed: int
) -> None:
    model = make_model(uniform, form)
    generator = torch.Generator().manual_seed(seed)
    source, target = torch.randint(VOCABULARY, (2, 3, 8), generator=generator)
    starts = torch.tensor([0, 2, 5])[:, None]
    mask = torch.arange(8) >= starts if padded else None
    memory_mask = torch.arange(8) < 8 - starts if padded else None
    memory = None if model.encoder is None else model.encode(source, memory_mask)

    full = model.decode(target, memory, memory_mask, mask)
    key_values = model.new_cache(3, 8)
    bounds = [0, *sorted(cuts), 8]
    with torch.inference_mode():
        steps = [
            model.decode(
                target[:, start:end],
                memory,
                memory_mask,
                mask=None if mask is None else mask[:, start:end],
                cache=key_values,
            )
            for start, end in pairwise(bounds)
        ]
    assert key_values.length == 8
    seen = torch.ones_like(target, dtype=torch.bool) if mask is None else mask
    assert (torch.cat(steps, dim=1) - full)[seen].abs().max() <= EXACT


def reach(model: Transformer, length: int, *, masked: bool) -> Tensor:
    """Entry (t, s): how strongly state t depends on token s, all ids being different; exactly 0 where not at all."""
    ids = torch.arange(length)[None]
    table = model.token_embedding.weight
    states = read(model, ids, torch.ones_like(ids, dtype=torch.bool) if masked else None)[0]
    rows = [torch.autograd.grad(state.square().sum(), table, retain_graph=True)[0] for state in states]
    return torch.stack(rows)[:, :length].abs().sum(-1)


@pytest.mark.parametrize("masked", [False, True])
def test_a_decoder_never_looks_ahead(uniform: UniformSpec, masked: bool) -> None:
    strength = reach(make_model(uniform, "decoder"), 7, masked=masked)
    assert (strength.triu(1) == 0).all()
    direct = 7 if uniform.window is None else uniform.window
    assert (strength[torch.ones(7, 7).tril().triu(1 - direct).bool()] > 0).all()


@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_looks_everywhere_within_its_windows(uniform: UniformSpec, masked: bool) -> None:
    strength = reach(make_model(uniform, "encoder"), 7, masked=masked)
    indexes = torch.arange(7)
    distance = (indexes[:, None] - indexes).abs()
    furthest = 7 if uniform.window is None else uniform.num_layers * (uniform.window - 1)
    assert torch.equal(strength > 0, distance <= furthest)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_texts_without_any_token_give_finite_states_and_gradients(
    uniform: UniformSpec, form: str, dtype: torch.dtype
) -> None:
    dropping = uniform.model_copy(update={"attention_dropout": 0.1})
    model = build(getattr(dropping, form)(VOCABULARY, max_positions=MAX_POSITIONS), seed=0).to(dtype)
    ids, mask = torch.randint(VOCABULARY, (3, 5)), torch.tensor([[False] * 5, [True] * 5, [False] * 4 + [True]])
    for training in (False, True):
        model.train(training)
        states = read(model, ids, mask)
        gradients = torch.autograd.grad(states.square().sum(), list(model.parameters()), allow_unused=True)
        assert states.isfinite().all()
        assert gradients[0] is not None
        assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


@pytest.mark.parametrize("shape", [(2, 1), (0, 4), (0, 1)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_single_tokens_and_empty_batches_pass(
    uniform: UniformSpec, form: str, masked: bool, shape: tuple[int, int]
) -> None:
    model = make_model(uniform, form)
    ids = torch.ones(shape, dtype=torch.int64)
    states = read(model, ids, torch.ones(shape, dtype=torch.bool) if masked else None)
    length = 3 if form == "encoder_decoder" else shape[1]
    assert states.shape == (shape[0], length, uniform.d_model)
    assert states.isfinite().all()
    assert torch.autograd.grad(states.sum(), model.token_embedding.weight)[0].isfinite().all()
    if model.output is not None:
        assert model.logits(states).shape == (shape[0], length, VOCABULARY)


def test_gradients_equal_finite_differences(uniform: UniformSpec) -> None:
    model = make_model(uniform.model_copy(update={"num_layers": 1}), "encoder_decoder")
    names, values = zip(*model.named_parameters(), strict=True)
    ids, mask = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[True] * 3, [True, True, False]])

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            return self.model.logits(read(self.model, ids, mask))

    def run(*tensors: Tensor) -> Tensor:
        weights = {f"model.{name}": tensor for name, tensor in zip(names, tensors, strict=True)}
        output: Tensor = functional_call(Whole(), weights, ())
        return output

    torch.manual_seed(0)
    assert gradcheck(run, values, fast_mode=True)


def test_token_types_are_zero_unless_given() -> None:
    uniform = UniformSpec(d_model=8, num_layers=1, num_heads=2)
    model = build(uniform.encoder(VOCABULARY, num_token_types=2), seed=0).eval()
    ids = torch.tensor([[3, 1, 4]])
    untyped = model.encode(ids)
    assert torch.equal(model.encode(ids, token_types=torch.zeros_like(ids)), untyped)
    assert not torch.allclose(model.encode(ids, token_types=torch.tensor([[0, 0, 1]])), untyped)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [None, *PositionKind])
def test_the_longest_text_is_known(kind: PositionKind | None, form: str) -> None:
    uniform = UniformSpec(d_model=8, num_layers=1, num_heads=2, positions=kind)
    model = build(getattr(uniform, form)(VOCABULARY, max_positions=5))
    assert model.max_positions == (5 if kind == "learned" else None)


def test_encoder_and_decoder_may_take_texts_of_different_length() -> None:
    tree = (
        UniformSpec(d_model=8, num_layers=1, num_heads=2, positions="learned")
        .encoder_decoder(VOCABULARY, max_positions=6)
        .model_dump()
    )
    tree["decoder"]["embeddings"]["positions"]["max_positions"] = 2
    model = build(parse_spec(tree))
    memory = model.encode(torch.ones(1, 6, dtype=torch.int64))
    assert model.decode(torch.ones(1, 2, dtype=torch.int64), memory).isfinite().all()
    with pytest.raises(InputTooLongError, match="3 tokens was given; the model takes 2"):
        model.decode(torch.ones(1, 3, dtype=torch.int64), memory)


ids, mask = torch.tensor([[1, 2, 3]]), torch.ones(1, 3, dtype=torch.bool)
memory = torch.zeros(1, 3, 8)
MISUSES: dict[str, tuple[str, Any, type[Exception], str]] = {
    "encode without encoder": ("decoder", lambda m: m.encode(ids), UnsupportedError, "no encoder"),
    "decode without decoder": ("encoder", lambda m: m.decode(ids), UnsupportedError, "no decoder"),
    "cache without decoder": ("encoder", lambda m: m.new_cache(1, 1), UnsupportedError, "no decoder"),
    "logits without head": ("encoder", lambda m: m.logits(memory), UnsupportedError, "no language-model head"),
    "unknown token types": ("encoder", lambda m: m.encode(ids, mask, ids), UnsupportedError, "no token types"),
    "memory without encoder": ("decoder", lambda m: m.decode(ids, memory), UnsupportedError, "reads no memory"),
    "no memory": ("encoder_decoder", lambda m: m.decode(ids), RequestError, "needs memory"),
    "memory of other texts": (
        "encoder_decoder",
        lambda m: m.decode(ids, torch.zeros(2, 3, 8)),
        RequestError,
        r"\(1, source tokens, d_model\), not \(2, 3, 8\)",
    ),
    "mask of other memory": (
        "encoder_decoder",
        lambda m: m.decode(ids, memory, mask[:, :2]),
        RequestError,
        r"memory_mask must be torch.bool of shape \(1, 3\), not torch.bool of shape \(1, 2\)",
    ),
    "ids without batch": ("encoder", lambda m: m.encode(ids[0]), RequestError, r"of shape \(3,\)"),
    "float ids": ("encoder", lambda m: m.encode(ids.float()), RequestError, "float32"),
    "float mask": ("encoder", lambda m: m.encode(ids, mask.float()), RequestError, "mask must be torch.bool"),
    "short mask": ("decoder", lambda m: m.decode(ids, mask=mask[:, :2]), RequestError, r"not .* \(1, 2\)"),
    "id outside the vocabulary": ("encoder", lambda m: m.encode(ids + 15), RequestError, "16 to 18.*ends at 16"),
    "negative id": ("decoder", lambda m: m.decode(ids - 9), RequestError, "-8 to -6"),
    "text too long": ("encoder", lambda m: m.encode(ids.repeat(1, 4)), InputTooLongError, "12 tokens.*takes 9"),
    "target too long": (
        "decoder",
        torch.no_grad()(lambda m: [m.decode(ids, cache=made) for made in [m.new_cache(1, 12)] for _ in range(4)]),
        InputTooLongError,
        "12 tokens.*takes 9",
    ),
    "cache while gradients are on": (
        "decoder",
        lambda m: m.decode(ids, cache=m.new_cache(1, 5)),
        RequestError,
        "keeps no gradients",
    ),
    "cache of another batch": (
        "decoder",
        lambda m: m.decode(ids, cache=m.new_cache(2, 5)),
        RequestError,
        "for 2 texts, not 1",
    ),
    "cache too short": (
        "decoder",
        torch.no_grad()(lambda m: m.decode(ids, cache=m.new_cache(1, 2))),
        InputTooLongError,
        "holds 2 tokens: 0 are taken, 3 more",
    ),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_is_explained(misuse: str) -> None:
    form, use, error, message = MISUSES[misuse]
    uniform = UniformSpec(d_model=8, num_layers=1, num_heads=2, positions="learned")
    with pytest.raises(error, match=message) as raised:
        use(make_model(uniform, form, torch.float32))
    assert isinstance(raised.value, RequestError)
    assert raised.value.remedy
