"""The feed-forward network equals its formula, for every activation, gated or not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from heedful.nn import ACTIVATIONS, FeedForward

FORMULAS: dict[str, Callable[[float], float]] = {
    "relu": lambda z: max(z, 0.0),
    "gelu": lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
    "gelu_tanh": lambda z: z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2,
    "silu": lambda z: z / (1 + math.exp(-z)),
    "tanh": math.tanh,
}


@pytest.mark.parametrize("bias", [False, True], ids=["without biases", "with biases"])
@pytest.mark.parametrize("gated", [False, True], ids=["plain", "gated"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_feed_forward_equals_its_formula(activation: str, gated: bool, bias: bool) -> None:
    torch.manual_seed(0)
    module = FeedForward(3, 5, activation=ACTIVATIONS[activation](), gated=gated, bias=bias).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64)

    def linear(part: torch.nn.Linear, vector: torch.Tensor) -> torch.Tensor:
        return part.weight @ vector + (part.bias if bias else 0)

    for actual, vector in zip(module(x).flatten(0, 1), x.flatten(0, 1), strict=True):
        up = linear(module.up, vector)
        nonlinear = up if module.gate is None else linear(module.gate, vector)
        inner = torch.tensor([FORMULAS[activation](z) for z in nonlinear.tolist()], dtype=torch.float64)
        expected = linear(module.down, inner * up if gated else inner)
        assert (actual - expected).abs().max() < 1e-15  # measured: 2e-16
    assert (module.gate is not None) == gated
    assert (module.up.bias is not None) == bias
