"""A layer does what its slots and the placement of its norms say."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heedful.nn import AttentionMask, CrossAttention, FeedForward, Layer, Residual, SelfAttention

WIDTH = 6
OPEN = AttentionMask()


def make_layer(norm_placement: str = "pre", *, parallel: bool = False, dropout: float = 0.0) -> Layer:
    torch.manual_seed(0)
    layer = Layer(
        self_attention=SelfAttention(WIDTH, 2),
        cross_attention=CrossAttention(WIDTH, 2),
        feed_forward=FeedForward(WIDTH, 10, activation=nn.ReLU()),
        residual=lambda _: Residual(partial(nn.LayerNorm, WIDTH), norm_placement=norm_placement, dropout=dropout),
        parallel=parallel,
    )
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer.double()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 4, WIDTH, dtype=torch.float64)


@pytest.fixture
def memory() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(2, 3, WIDTH, dtype=torch.float64)


def by_hand(layer: Any, x: Tensor, memory: Tensor, norm_placement: str, *, parallel: bool) -> Tensor:
    steps = [
        (layer.self_attention_residual, lambda h: layer.self_attention(h, OPEN)),
        (layer.cross_attention_residual, lambda h: layer.cross_attention(h, OPEN, memory=memory)),
        (layer.feed_forward_residual, layer.feed_forward),
    ]
    output = x
    for residual, slot in steps:
        source = x if parallel else output
        match norm_placement:
            case "pre":
                output = output + slot(residual.norm_before(source))
            case "post":
                output = residual.norm_sum(output + slot(source))
            case "sandwich":
                output = output + residual.norm_after(slot(residual.norm_before(source)))
    return output


@pytest.mark.parametrize(
    ("norm_placement", "parallel", "norms"),
    [("pre", False, 3), ("post", False, 3), ("sandwich", False, 6), ("pre", True, 3), ("sandwich", True, 6)],
)
def test_norms_stand_where_they_are_placed(
    x: Tensor, memory: Tensor, norm_placement: str, parallel: bool, norms: int
) -> None:
    layer = make_layer(norm_placement, parallel=parallel)
    assert sum(isinstance(part, nn.LayerNorm) for part in layer.modules()) == norms
    expected = by_hand(layer, x, memory, norm_placement, parallel=parallel)
    assert torch.equal(layer(x, OPEN, memory=memory, memory_mask=OPEN), expected)


def test_an_empty_slot_is_the_identity(x: Tensor) -> None:
    def residual(_slot: str) -> Residual:
        return Residual(partial(nn.LayerNorm, WIDTH), norm_placement="pre")

    assert torch.equal(Layer(residual=residual)(x, OPEN, memory_mask=OPEN), x)
    only = Layer(feed_forward=FeedForward(WIDTH, 10, activation=nn.ReLU()), residual=residual).double()
    assert only.feed_forward is not None
    assert only.feed_forward_residual is not None
    expected = x + only.feed_forward(only.feed_forward_residual.norm_before(x))
    assert torch.equal(only(x, OPEN, memory_mask=OPEN), expected)
    assert not any("attention" in name for name in only.state_dict())


@pytest.mark.parametrize("parallel", [False, True])
def test_dropout_acts_on_what_slots_add(x: Tensor, memory: Tensor, parallel: bool) -> None:
    layer = make_layer(parallel=parallel, dropout=0.999999)
    assert torch.equal(layer.train()(x, OPEN, memory=memory, memory_mask=OPEN), x)
    expected = by_hand(layer, x, memory, "pre", parallel=parallel)
    assert torch.equal(layer.eval()(x, OPEN, memory=memory, memory_mask=OPEN), expected)
