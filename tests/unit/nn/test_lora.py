"""Low-rank adapters: what they compute, what learns, and that what is saved is the plain map they amount to."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from heedful.nn import LoraLinear, lora_layers


def adapted(*, bias: bool = True, dropout: float = 0.0, rank: int = 3) -> LoraLinear:
    """A map with an adapter that has learnt something, float64, 5 inputs, 4 outputs."""
    torch.manual_seed(1)
    layer = LoraLinear(nn.Linear(5, 4, bias=bias, dtype=torch.float64), rank, alpha=7, dropout=dropout)
    nn.init.normal_(layer.up)
    return layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_its_output_is_that_of_the_formula(bias: bool, rank: int) -> None:
    """W x + b + α / R · B A x, in float64."""
    layer, x = adapted(bias=bias, rank=rank), torch.randn(2, 6, 5, dtype=torch.float64)
    expected = x @ layer.base.weight.T + 7 / rank * x @ layer.down.T @ layer.up.T
    if bias:
        expected = expected + layer.base.bias
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-13)  # measured: 2e-15
    assert not torch.allclose(layer(x), layer.base(x), atol=0.1)


def test_a_fresh_adapter_changes_no_bit() -> None:
    base = nn.Linear(5, 4)
    x = torch.randn(3, 5)
    before = base(x)
    layer = LoraLinear(base, 2, alpha=16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(layer(x), before)
    assert layer.down.std() > 0.1
    again = LoraLinear(base, 2, alpha=16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again.down, layer.down)


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_saved_as_the_plain_map_that_it_amounts_to(bias: bool) -> None:
    layer = adapted(bias=bias)
    plain = nn.Linear(5, 4, bias=bias, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(100, 5, dtype=torch.float64)
    assert torch.allclose(plain(x), layer(x), rtol=0, atol=1e-13)  # measured: 4e-15
    holder = nn.ModuleDict({"map": layer})
    assert set(holder.state_dict()) == {"map.weight", "map.bias"} if bias else {"map.weight"}
    assert not holder.state_dict()["map.weight"].requires_grad


def test_the_adapter_learns_and_the_base_does_not() -> None:
    layer = adapted()
    layer(torch.randn(3, 5, dtype=torch.float64)).sum().backward()
    assert {name for name, parameter in layer.named_parameters() if parameter.grad is not None} == {"down", "up"}


def test_dropout_is_of_the_adapters_input_only() -> None:
    layer, x = adapted(dropout=0.5), torch.ones(1, 5, dtype=torch.float64)
    layer.train()
    base, seen = layer.base(x), layer(x)
    assert not torch.allclose(seen, layer(x))
    torch.manual_seed(3)
    dropped = layer.dropout(x)
    torch.manual_seed(3)
    assert torch.allclose(layer(x) - base, dropped @ layer.down.T @ layer.up.T * layer.scale)
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_adapters_are_found_by_name() -> None:
    layer = adapted()
    assert lora_layers(nn.ModuleDict({"plain": nn.Linear(2, 2), "map": layer})) == {"map": layer}
