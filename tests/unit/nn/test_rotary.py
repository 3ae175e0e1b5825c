"""Rotary positions that turn a part of a head, and their scalings, as their papers state them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heedful.nn import LinearScaling, Llama3Scaling, RotaryPositions, RotaryScaling, YarnScaling
from heedful.nn.positions import frequencies

WIDTH, BASE, LENGTH = 16, 10_000.0, 2_048
CPU = torch.device("cpu")


def rates(base: float = BASE) -> Tensor:
    return frequencies(WIDTH, base, WIDTH, device=CPU, dtype=torch.float64)


def turns(frequency: float) -> float:
    """How often a frequency turns within the length of the first training."""
    return LENGTH * frequency / (2 * math.pi)


def yarn(frequency: float, number: int, factor: float, fast: float, slow: float, *, truncate: bool) -> float:
    """Peng et al. 2023, §3.2, for one frequency: the ramp is linear in the column, between two numbers of turns."""
    low, high = (WIDTH / 2 * math.log(LENGTH / (beta * 2 * math.pi), BASE) for beta in (fast, slow))
    if truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, WIDTH - 1)
    ramp = min(max((number - low) / (high - low), 0), 1)
    return (1 - ramp) * frequency + ramp * frequency / factor


def llama3(frequency: float, factor: float, low: float, high: float) -> float:
    """Grattafiori et al. 2024, and the code of the authors, by cases of the wave length."""
    if turns(frequency) > high:
        return frequency
    if turns(frequency) < low:
        return frequency / factor
    smooth = (turns(frequency) - low) / (high - low)
    return (1 - smooth) * frequency / factor + smooth * frequency


def test_without_scaling_frequencies_stay() -> None:
    assert torch.equal(RotaryScaling().scale(rates()), rates())


@given(st.floats(1, 1_000), st.integers(0, 10_000))
def test_linear_scaling_divides_positions(factor: float, position: int) -> None:
    stretched = RotaryPositions(WIDTH, scaling=LinearScaling(factor))(torch.tensor([position]), torch.float64)
    divided = RotaryPositions(WIDTH)(torch.tensor([position], dtype=torch.float64) / factor, torch.float64)
    assert all((a - b).abs().max() < 1e-11 for a, b in zip(stretched, divided, strict=True))


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize(("factor", "fast", "slow"), [(4.0, 32.0, 1.0), (40.0, 3.0, 0.5), (1.0, 32.0, 1.0)])
def test_yarn_divides_slow_frequencies_and_keeps_fast_ones(
    factor: float, fast: float, slow: float, truncate: bool
) -> None:
    scaling = YarnScaling(
        factor, base=BASE, original_max_positions=LENGTH, beta_fast=fast, beta_slow=slow, truncate=truncate
    )
    expected = [yarn(rate, i, factor, fast, slow, truncate=truncate) for i, rate in enumerate(rates().tolist())]
    assert scaling.scale(rates()).tolist() == pytest.approx(expected, rel=1e-13)
    assert expected[0] == 1.0
    assert expected[-1] == pytest.approx(rates()[-1].item() / factor)


@pytest.mark.parametrize(("factor", "expected"), [(4.0, 0.1 * math.log(4.0) + 1), (1.0, 1.0)])
def test_yarn_stretches_turned_heads_a_little(factor: float, expected: float) -> None:
    """Peng et al. 2023, equation 15."""
    scaling = YarnScaling(factor, base=BASE, original_max_positions=LENGTH)
    assert scaling.magnitude == pytest.approx(expected)
    plain = RotaryPositions(WIDTH)(torch.arange(1), torch.float64)
    scaled = RotaryPositions(WIDTH, scaling=scaling)(torch.arange(1), torch.float64)
    assert torch.allclose(scaled.cosines, expected * plain.cosines, rtol=1e-15)


def test_yarn_takes_a_magnitude_of_its_own() -> None:
    scaling = YarnScaling(4.0, base=BASE, original_max_positions=LENGTH, magnitude=0.5)
    rotation = RotaryPositions(WIDTH, scaling=scaling)(torch.arange(3), torch.float64)
    lengths = rotation.cosines.square() + rotation.sines.square()
    assert torch.allclose(lengths, torch.full_like(lengths, 0.25), rtol=1e-14)


def test_a_yarn_ramp_without_width_is_a_step() -> None:
    scaling = YarnScaling(4.0, base=BASE, original_max_positions=LENGTH, beta_fast=8.0, beta_slow=8.0, truncate=False)
    ratios = scaling.scale(rates()) / rates()
    assert set(ratios.tolist()) == {1.0, 0.25}
    assert ratios.tolist() == sorted(ratios.tolist(), reverse=True)


@pytest.mark.parametrize(("factor", "low", "high"), [(8.0, 1.0, 4.0), (32.0, 0.5, 20.0), (1.0, 1.0, 4.0)])
@pytest.mark.parametrize("base", [100.0, BASE, 500_000.0])
def test_llama3_stretches_long_waves_and_keeps_short_ones(factor: float, low: float, high: float, base: float) -> None:
    scaling = Llama3Scaling(factor, low_frequency_factor=low, high_frequency_factor=high, original_max_positions=LENGTH)
    expected = [llama3(rate, factor, low, high) for rate in rates(base).tolist()]
    assert scaling.scale(rates(base)).tolist() == pytest.approx(expected, rel=1e-13)
    assert scaling.magnitude == 1.0


def test_the_cases_of_llama3_all_occur() -> None:
    counts = [turns(rate) for rate in rates().tolist()]
    assert any(count > 4 for count in counts) and any(1 < count < 4 for count in counts) and any(c < 1 for c in counts)


@given(st.sampled_from([2, 4, 10]), st.integers(0, 5_000))
def test_only_the_first_columns_turn_where_a_part_of_a_head_does(width: int, position: int) -> None:
    heads = torch.randn(1, 2, 1, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = RotaryPositions(width)(torch.tensor([position]), torch.float64).apply(heads)
    assert torch.equal(turned[..., width:], heads[..., width:])
    whole = RotaryPositions(width)(torch.tensor([position]), torch.float64).apply(heads[..., :width])
    assert torch.equal(turned[..., :width], whole)


def test_each_text_has_positions_of_its_own() -> None:
    rotary = RotaryPositions(4)
    heads = torch.randn(2, 3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]])
    together = rotary(positions, torch.float64).apply(heads)
    for row in range(2):
        assert torch.equal(together[row], rotary(positions[row], torch.float64).apply(heads[row : row + 1])[0])


def test_angles_are_exact_in_half_precision() -> None:
    positions = torch.arange(3_000)
    scaling = LinearScaling(3.0)
    half = RotaryPositions(WIDTH, scaling=scaling)(positions, torch.bfloat16)
    single = RotaryPositions(WIDTH, scaling=scaling)(positions, torch.float32)
    assert half.cosines.dtype == torch.bfloat16
    assert torch.equal(half.cosines, single.cosines.bfloat16()) and torch.equal(half.sines, single.sines.bfloat16())
