"""Norms equal their formulas, in half precision too."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from heedful.nn import UnitOffsetRMSNorm


@pytest.fixture
def norm() -> UnitOffsetRMSNorm:
    norm = UnitOffsetRMSNorm(64, eps=1e-3)
    nn.init.normal_(norm.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return norm.double()


def test_the_weight_is_stored_less_one(norm: UnitOffsetRMSNorm) -> None:
    x = torch.randn(2, 3, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt() * (1 + norm.weight)
    assert (norm(x) - expected).abs().max() < 1e-14


def test_a_fresh_one_scales_nothing(norm: UnitOffsetRMSNorm) -> None:
    norm.reset_parameters()
    x = torch.randn(2, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(norm(x), nn.RMSNorm(64, eps=1e-3).double()(x))


def test_in_half_precision_only_the_answer_is_rounded(norm: UnitOffsetRMSNorm) -> None:
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(1)).bfloat16()
    norm = norm.bfloat16()
    exact = UnitOffsetRMSNorm(64, eps=1e-3).double()
    exact.load_state_dict(norm.state_dict())
    assert torch.equal(norm(x), exact(x.double()).bfloat16())
