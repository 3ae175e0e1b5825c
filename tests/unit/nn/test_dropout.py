"""Dropout with few random bits is dropout."""

from __future__ import annotations

import pytest
import torch

from heedful.nn.dropout import LEVELS, Dropout

N = 2**18


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.3, 0.5, 0.9])
def test_the_share_that_is_dropped_and_the_mean_are_right(probability: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(N, dtype=torch.float64)
    y = Dropout(probability)(x)
    share = float((y == 0).double().mean())
    deviation = (probability * (1 - probability) / N) ** 0.5
    assert abs(share - probability) < 5 * deviation + 1 / LEVELS
    kept = LEVELS - round(probability * LEVELS)
    assert torch.equal(y[y != 0], torch.full_like(y[y != 0], LEVELS / kept)), (
        "each kept element is scaled by 1 / (1 - p)"
    )


def test_all_places_are_dropped_independently() -> None:
    """Four elements share a random word: neither their own share nor that of any pair may differ."""
    torch.manual_seed(0)
    dropped = (Dropout(0.3)(torch.ones(N, 4)) == 0).double()
    assert float((dropped.mean(0) - 0.3).abs().max()) < 5 * (0.21 / N) ** 0.5
    assert float((torch.corrcoef(dropped.T) - torch.eye(4)).abs().max()) < 5 / N**0.5


def test_the_gradient_flows_where_the_input_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 13, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad * x.detach(), y.detach(), rtol=1e-15)


@pytest.mark.parametrize("probability", [0.0, 1.0, 1e-9])
def test_all_and_nothing(probability: float) -> None:
    x = torch.randn(5, 3)
    assert torch.equal(Dropout(probability)(x), torch.zeros(5, 3) if probability == 1 else x)


def test_nothing_is_dropped_outside_training() -> None:
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x


def test_the_seed_decides() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        dropped: torch.Tensor = Dropout(0.5)(torch.ones(1001))
        return dropped

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
