"""Attention equals softmax(QKᵀ/√K)V written out with loops, whatever may be seen and however heads are grouped."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heedful.nn import (
    AlibiBias,
    AttentionKernel,
    AttentionMask,
    CrossAttention,
    RelativeBias,
    RotaryPositions,
    SelfAttention,
    SoftCappedKernel,
    padding_mask,
    self_attention_mask,
)

D_MODEL, NUM_HEADS, LENGTH, BATCH = 12, 4, 7, 3
TOLERANCE = 1e-14  # measured: 3e-16
GROUPINGS = {"a head each": 4, "grouped": 2, "multi-query": 1}
PADDING = {
    "none": None,
    "right": torch.arange(LENGTH) < torch.tensor([LENGTH, 4, 1])[:, None],
    "left": torch.arange(LENGTH) >= torch.tensor([0, 3, 6])[:, None],
    "holes": torch.tensor([[1, 0, 1, 1, 0, 0, 1], [0, 0, 1, 0, 1, 1, 0], [1] * 7]).bool(),
    "one text without tokens": torch.arange(LENGTH) < torch.tensor([LENGTH, 0, 3])[:, None],
}


def softmax_written_out(
    query: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, bias: Tensor | None = None, cap: float = math.inf
) -> Tensor:
    """(B, H, T, K), (B, G, S, K) twice, (B, T, S) and (1, H, T, S) -> (B, H, T, K)."""
    mixed = torch.zeros_like(query)
    group = query.shape[1] // keys.shape[1]
    for text, head in itertools.product(range(len(query)), range(query.shape[1])):
        scores = query[text, head] @ keys[text, head // group].T / math.sqrt(query.shape[-1])
        if cap < math.inf:
            scores = cap * (scores / cap).tanh()
        if bias is not None:
            scores = scores + bias[0, head]
        powers = scores.exp() * allowed[text]
        total = powers.sum(1, keepdim=True)
        mixed[text, head] = (powers / total.where(total > 0, 1)) @ values[text, head // group]
    return mixed


def project(linear: nn.Linear, x: Tensor, head_dim: int) -> Tensor:
    projected = F.linear(x, linear.weight, linear.bias)
    return projected.view(*x.shape[:2], -1, head_dim).transpose(1, 2)


def visible(mask: Tensor | None, *, causal: bool = False, window: int | None = None) -> Tensor:
    """(B, T, S), by the definition of each rule."""
    seen = [
        [(not causal or key <= query) and (window is None or abs(query - key) < window) for key in range(LENGTH)]
        for query in range(LENGTH)
    ]
    allowed = torch.tensor(seen).expand(BATCH, -1, -1)
    return allowed if mask is None else allowed & mask[:, None]


def expected_output(
    attention: SelfAttention | CrossAttention,
    x: Tensor,
    source: Tensor,
    allowed: Tensor,
    bias: Tensor | None = None,
    cap: float = math.inf,
) -> Tensor:
    query, keys, values = (
        project(linear, tensor, attention.head_dim)
        for linear, tensor in ((attention.query, x), (attention.key, source), (attention.value, source))
    )
    query, keys = attention.query_norm(query), attention.key_norm(keys)
    mixed = softmax_written_out(query, keys, values, allowed, bias, cap).transpose(1, 2).flatten(2)
    return F.linear(mixed, attention.output.weight, attention.output.bias)


def difference(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return (actual - expected).abs().max().item()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, LENGTH, D_MODEL, dtype=torch.float64)


@pytest.mark.parametrize("num_kv_heads", GROUPINGS.values(), ids=GROUPINGS)
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("window", [None, 1, 3, LENGTH + 5])
@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_self_attention_equals_the_formula(
    x: Tensor, causal: bool, window: int | None, padding: str, num_kv_heads: int
) -> None:
    attention = SelfAttention(D_MODEL, NUM_HEADS, num_kv_heads=num_kv_heads).double()
    mask = PADDING[padding]
    seen = self_attention_mask(LENGTH, LENGTH, causal=causal, window=window, mask=mask)
    expected = expected_output(attention, x, x, visible(mask, causal=causal, window=window))
    assert difference(attention(x, seen), expected) < TOLERANCE


@pytest.mark.parametrize("num_kv_heads", GROUPINGS.values(), ids=GROUPINGS)
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@pytest.mark.parametrize("kind", ["alibi", "relative_bias"])
def test_a_bias_is_added_to_the_scaled_scores(
    x: Tensor, kind: str, causal: bool, padding: str, num_kv_heads: int
) -> None:
    attention = SelfAttention(D_MODEL, NUM_HEADS, num_kv_heads=num_kv_heads).double()
    positions = AlibiBias(NUM_HEADS) if kind == "alibi" else RelativeBias(NUM_HEADS, bidirectional=not causal)
    bias = positions.double()(LENGTH, LENGTH, dtype=x.dtype, device=x.device)
    assert bias.shape == (1, NUM_HEADS, LENGTH, LENGTH)
    assert bias.std() > 0
    mask = PADDING[padding]
    seen = self_attention_mask(LENGTH, LENGTH, causal=causal, mask=mask, bias=bias)
    expected = expected_output(attention, x, x, visible(mask, causal=causal), bias)
    assert difference(attention(x, seen), expected) < TOLERANCE


@pytest.mark.parametrize("num_kv_heads", GROUPINGS.values(), ids=GROUPINGS)
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_soft_capped_scores_equal_the_formula(
    x: Tensor, causal: bool, biased: bool, padding: str, num_kv_heads: int
) -> None:
    kernel = SoftCappedKernel(soft_cap=0.05)
    attention = SelfAttention(D_MODEL, NUM_HEADS, num_kv_heads=num_kv_heads, kernel=kernel).double()
    bias = AlibiBias(NUM_HEADS)(LENGTH, LENGTH, dtype=x.dtype, device=x.device) if biased else None
    mask = PADDING[padding]
    seen = self_attention_mask(LENGTH, LENGTH, causal=causal, mask=mask, bias=bias)
    allowed = visible(mask, causal=causal)
    assert difference(attention(x, seen), expected_output(attention, x, x, allowed, bias, 0.05)) < TOLERANCE
    assert difference(attention(x, seen), expected_output(attention, x, x, allowed, bias)) > 1e-4


@pytest.mark.parametrize("kernel", [AttentionKernel, partial(SoftCappedKernel, soft_cap=1e6)])
@pytest.mark.parametrize("scale", [0.1, 2.0])
def test_scores_may_be_scaled_otherwise(x: Tensor, scale: float, kernel: Callable[..., AttentionKernel]) -> None:
    attention = SelfAttention(D_MODEL, NUM_HEADS, kernel=kernel(scale=scale)).double()
    actual = attention(x, AttentionMask(is_causal=True))
    with torch.no_grad():
        for parameter in attention.query.parameters():
            parameter.mul_(scale * math.sqrt(attention.head_dim))
    assert (
        difference(actual, expected_output(attention, x, x, visible(None, causal=True))) < 1e-12
    )  # tanh of a millionth


def test_queries_and_keys_may_be_normed_by_head(x: Tensor) -> None:
    attention = SelfAttention(D_MODEL, NUM_HEADS, num_kv_heads=2, query_key_norm=nn.RMSNorm).double()
    for norm in (attention.query_norm, attention.key_norm):
        (weight,) = norm.parameters()
        assert weight.shape == (D_MODEL // NUM_HEADS,)
        nn.init.normal_(weight)
    actual = attention(x, AttentionMask(is_causal=True))
    assert difference(actual, expected_output(attention, x, x, visible(None, causal=True))) < TOLERANCE


@pytest.mark.parametrize("num_kv_heads", GROUPINGS.values(), ids=GROUPINGS)
@pytest.mark.parametrize("padding", PADDING)
def test_cross_attention_equals_the_formula(x: Tensor, padding: str, num_kv_heads: int) -> None:
    attention = CrossAttention(D_MODEL, NUM_HEADS, num_kv_heads=num_kv_heads).double()
    query, mask = torch.randn(BATCH, 5, D_MODEL, dtype=x.dtype), PADDING[padding]
    expected = expected_output(attention, query, x, visible(mask)[:, :5])
    assert difference(attention(query, padding_mask(mask), memory=x), expected) < TOLERANCE


@pytest.mark.parametrize("bias", [False, True], ids=["without biases", "with biases"])
@pytest.mark.parametrize("head_dim", [1, 5, 8])
def test_heads_may_be_of_any_width(x: Tensor, head_dim: int, bias: bool) -> None:
    attention = SelfAttention(D_MODEL, NUM_HEADS, head_dim=head_dim, bias=bias).double()
    assert attention.query.weight.shape == (NUM_HEADS * head_dim, D_MODEL)
    assert (attention.output.bias is not None) == bias
    expected = expected_output(attention, x, x, visible(None))
    assert difference(attention(x, AttentionMask()), expected) < TOLERANCE


def test_rotary_positions_turn_queries_and_keys_but_not_values(x: Tensor) -> None:
    attention = SelfAttention(D_MODEL, NUM_HEADS, head_dim=6).double()
    rotation = RotaryPositions(6)(torch.arange(LENGTH), x.dtype)

    def turned(heads: Tensor) -> Tensor:
        pairs = torch.complex(heads[..., :3], heads[..., 3:])
        angles = torch.tensor([[t * 10_000 ** (-2 * i / 6) for i in range(3)] for t in range(LENGTH)], dtype=x.dtype)
        turned_pairs = pairs * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([turned_pairs.real, turned_pairs.imag], dim=-1)

    query, keys, values = (project(linear, x, 6) for linear in (attention.query, attention.key, attention.value))
    mixed = softmax_written_out(turned(query), turned(keys), values, visible(None)).transpose(1, 2).flatten(2)
    expected = F.linear(mixed, attention.output.weight, attention.output.bias)
    actual = attention(x, AttentionMask(), positions=rotation)
    assert difference(actual, expected) < TOLERANCE


@pytest.mark.parametrize("kernel", [AttentionKernel(dropout=0.5), SoftCappedKernel(soft_cap=2.0, dropout=0.5)])
def test_dropout_of_attention_weights_acts_in_training_only(x: Tensor, kernel: AttentionKernel) -> None:
    attention = SelfAttention(D_MODEL, NUM_HEADS, kernel=kernel).double()
    undropped = attention.eval()(x, AttentionMask())
    assert torch.equal(undropped, attention(x, AttentionMask()))
    torch.manual_seed(1)
    samples = attention.train()(x[:1].expand(2_000, -1, -1), AttentionMask())
    assert samples.std(0).min() > 0
    assert difference(samples.mean(0), undropped[0]) < 0.05
