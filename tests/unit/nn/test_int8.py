"""Linear maps on 8-bit integers give what rounding twice and multiplying exactly gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from heedful.nn import FeedForward, int8
from heedful.nn.int8 import FUSED, LEVELS, Int8FeedForward, Int8Linear, Int8Weights, has_kernel

KERNELS = ["kernel", "fractions"] if has_kernel() else ["fractions"]
TOLERANCE = 2e-6
"""Of the largest output; the kernel sums in float32."""


@pytest.fixture(params=KERNELS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the processor's own product of integers, and as on a machine that has none."""
    if request.param == "fractions":
        monkeypatch.setattr(int8, "has_kernel", lambda: False)
    return str(request.param)


def linear(inputs: int, outputs: int, *, bias: bool = True, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias=bias)


def by_hand(rounded: Int8Linear, x: Tensor) -> Tensor:
    """In float64, from what is stored."""
    assert rounded.input_scale is not None and rounded.input_zero_point is not None
    scale, zero_point = rounded.input_scale.double(), int(rounded.input_zero_point)
    whole = ((x.double() / scale).round() + zero_point).clamp(0, LEVELS) - zero_point
    y = (whole * scale) @ (rounded.weight.double() * rounded.weight_scale.double()[:, None]).T
    return y if rounded.bias is None else y + rounded.bias.double()


def off_the_edge(x: Tensor, rounded: Int8Linear) -> Tensor:
    """Inputs that no two ways of dividing round to different numbers."""
    assert rounded.input_scale is not None
    scale = rounded.input_scale
    return ((x / scale).round() + (x / scale).frac().clamp(-0.4, 0.4) * 0.9) * scale


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (1, 7), (3, 5, 7), (2, 0, 7)])
def test_a_calibrated_map_rounds_once_and_multiplies_exactly(shape: tuple[int, ...], bias: bool) -> None:
    rounded = Int8Linear.of(linear(7, 9, bias=bias), (-1.5, 2.0))
    x = off_the_edge(torch.randn(shape, generator=torch.Generator().manual_seed(1)), rounded)
    y = rounded(x)
    assert y.shape == (*shape[:-1], 9)
    torch.testing.assert_close(y.double(), by_hand(rounded, x), rtol=0, atol=TOLERANCE * 4)


@pytest.mark.usefixtures("way")
def test_a_row_without_calibration_depends_on_no_other() -> None:
    rounded = Int8Linear.of(linear(16, 9))
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(1)) * torch.tensor([[1e-6], [1], [10], [1e4], [0]])
    alone = torch.cat([rounded(row[None]) for row in x])
    assert torch.equal(rounded(x), alone)
    exact = linear(16, 9)(x)
    errors = (rounded(x) - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert errors.max() < 0.02


def test_weights_are_whole_numbers_that_fill_the_range_of_each_output() -> None:
    rounded = Int8Linear.of(linear(16, 9))
    assert rounded.weight.dtype == torch.int8
    assert rounded.weight.abs().amax(1).tolist() == [127] * 9
    error = (rounded.weight * rounded.weight_scale[:, None] - linear(16, 9).weight).abs()
    assert bool((error <= rounded.weight_scale[:, None] / 2 * (1 + 1e-5)).all())


def test_outputs_without_any_weight_are_their_bias() -> None:
    empty = linear(4, 2)
    nn.init.zeros_(empty.weight)
    for span in (None, (0.0, 0.0), (-1.0, 1.0)):
        torch.testing.assert_close(Int8Linear.of(empty, span)(torch.ones(3, 4)), empty.bias.expand(3, 2))


@pytest.mark.parametrize("block", [1, 40, 10**6], ids=["output by output", "in blocks", "at once"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(16,), (1, 16), (3, 5, 16), (2, 0, 16)])
def test_rounded_weights_alone_multiply_fractions(
    shape: tuple[int, ...], bias: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "BLOCK", block)
    rounded = Int8Weights.of(linear(16, 9, bias=bias))
    assert torch.equal(rounded.weight, Int8Linear.of(linear(16, 9)).weight)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = x.double() @ (rounded.weight.double() * rounded.weight_scale.double()[:, None]).T
    expected = expected if rounded.bias is None else expected + rounded.bias.double()
    y = rounded(x)
    assert y.shape == expected.shape
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=TOLERANCE)
    monkeypatch.setattr(int8, "is_traced", lambda: True)
    torch.testing.assert_close(rounded(x).double(), expected, rtol=0, atol=TOLERANCE)


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_nothing_stays_nothing(low: float, high: float) -> None:
    """0 is a whole number of every span: padding adds nothing."""
    rounded = Int8Linear.of(linear(4, 2, bias=False), (min(low, high), max(low, high)))
    assert rounded(torch.zeros(1, 4)).tolist() == [[0.0, 0.0]]


def test_what_lies_outside_of_the_span_is_cut_off() -> None:
    rounded = Int8Linear.of(linear(4, 2), (-1.0, 1.0))
    torch.testing.assert_close(rounded(torch.full((1, 4), 50.0)), rounded(torch.full((1, 4), 1.0)))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("activation", [*(kind() for kind in FUSED), nn.GELU(approximate="tanh")], ids=str)
def test_a_joined_network_gives_what_its_parts_give(activation: nn.Module) -> None:
    torch.manual_seed(0)
    network = FeedForward(8, 24, activation=activation)
    up, down = Int8Linear.of(network.up, (-3.0, 3.0)), Int8Linear.of(network.down, (-1.0, 2.0))
    network.up, network.down = up, down  # type: ignore[assignment]
    joined = Int8FeedForward.of(network)
    assert isinstance(joined, Int8FeedForward)
    x = torch.randn(2, 5, 8)
    step = float(down.weight_scale.max()) * 127 * float(down.span[0] if down.span else 0)
    apart = (joined(x) - network(x)).abs()
    assert apart.max() <= step  # one whole number, where an activation lies on the edge between two
    assert apart.median() < TOLERANCE


def test_only_what_is_calibrated_and_plain_is_joined() -> None:
    def network(gated: bool = False, activation: nn.Module | None = None) -> FeedForward:
        return FeedForward(8, 24, activation=activation or nn.ReLU(), gated=gated)

    def rounded(one: FeedForward, span: tuple[float, float] | None) -> FeedForward:
        one.up, one.down = Int8Linear.of(one.up, span), Int8Linear.of(one.down, span)  # type: ignore[assignment]
        return one

    span = (-1.0, 1.0)
    for one in (
        network(),
        rounded(network(), None),
        rounded(network(gated=True), span),
        rounded(network(activation=nn.Sigmoid()), span),
    ):
        assert Int8FeedForward.of(one) is one


@pytest.mark.usefixtures("way")
def test_maps_side_by_side_are_the_maps() -> None:
    maps = [Int8Linear.of(linear(8, size, seed=size), (-2.0, 2.0)) for size in (6, 3, 4)]
    x = torch.randn(2, 5, 8)
    expected = torch.cat([each(x) for each in maps], -1)
    torch.testing.assert_close(Int8Linear.side_by_side(maps)(x), expected, rtol=0, atol=TOLERANCE)
