"""Positions equal the formulas of their papers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.nn import (
    AlibiBias,
    LearnedPositions,
    RelativeBias,
    RotaryPositions,
    SinusoidalPositions,
    token_positions,
)

DEVICE = torch.device("cpu")


@pytest.mark.parametrize("d_model", [2, 6, 64])
def test_sinusoids_are_those_of_the_paper(d_model: int) -> None:
    positions = torch.tensor([0, 1, 2, 17, 511, 5_000])
    table = SinusoidalPositions(d_model)(positions, torch.float64)
    expected = torch.tensor(
        [
            [
                (math.cos if column % 2 else math.sin)(position / 10_000 ** (2 * (column // 2) / d_model))
                for column in range(d_model)
            ]
            for position in positions.tolist()
        ],
        dtype=torch.float64,
    )
    assert (table - expected).abs().max() < 1e-11  # measured: 4e-13, at angle 5,000
    assert (table[:4] - expected[:4]).abs().max() < 1e-14


@pytest.mark.parametrize("offset", [0, 2])
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("halves", [False, True])
def test_sinusoids_may_run_to_the_base_stand_in_halves_and_begin_later(
    halves: bool, inclusive: bool, offset: int
) -> None:
    d_model, base, positions = 8, 100.0, torch.tensor([[0, 3], [7, 1]])
    module = SinusoidalPositions(d_model, base=base, halves=halves, inclusive=inclusive, offset=offset)
    table = module(positions, torch.float64)
    rates = [base ** (-2 * i / (d_model - 2 if inclusive else d_model)) for i in range(d_model // 2)]
    assert rates[-1] == pytest.approx(1 / base) or not inclusive
    for row, column in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        angles = [(int(positions[row, column]) + offset) * rate for rate in rates]
        sines, cosines = [math.sin(angle) for angle in angles], [math.cos(angle) for angle in angles]
        in_turn = [wave for pair in zip(sines, cosines, strict=True) for wave in pair]
        assert table[row, column].tolist() == pytest.approx(sines + cosines if halves else in_turn, abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_model_in_less_precision_keeps_exact_sinusoids(dtype: torch.dtype) -> None:
    module, positions = SinusoidalPositions(8), torch.arange(2_000)
    exact = module(positions, torch.float64)
    assert torch.equal(module.to(dtype)(positions, dtype), exact.to(dtype))


@pytest.mark.parametrize("offset", [0, 2])
def test_learned_positions_are_rows_of_their_table(offset: int) -> None:
    module = LearnedPositions(5, 3, offset=offset)
    assert module.table.weight.shape == (5 + offset, 3) and module.max_positions == 5
    rows = module.table.weight[[4 + offset, offset]]
    assert torch.equal(module(torch.tensor([[4, 0]]), torch.float32), rows[None])


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 2_000), st.sampled_from([2, 6, 16]))
def test_rotary_scores_depend_on_distance_alone(query: int, key: int, shift: int, head_dim: int) -> None:
    vectors = torch.randn(2, 1, 1, 1, head_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotary = RotaryPositions(head_dim)

    def score(first: int, second: int) -> float:
        turned = [
            rotary(torch.tensor([position]), torch.float64).apply(vector)
            for position, vector in zip((first, second), vectors, strict=True)
        ]
        return float((turned[0] * turned[1]).sum())

    assert score(query, key) == pytest.approx(score(query + shift, key + shift), abs=1e-11)
    if query == key:
        assert score(query, key) == pytest.approx((vectors[0] * vectors[1]).sum().item(), abs=1e-12)


@pytest.mark.parametrize("base", [100.0, 10_000.0, 500_000.0])
def test_rotary_angles_follow_the_base(base: float) -> None:
    cosines, sines = RotaryPositions(8, base=base)(torch.tensor([3]), torch.float64)
    angles = [3 * base ** (-2 * i / 8) for i in range(4)]
    assert cosines[0].tolist() == pytest.approx([math.cos(angle) for angle in angles], abs=1e-15)
    assert sines[0].tolist() == pytest.approx([math.sin(angle) for angle in angles], abs=1e-15)


def bucket_of(distance: int, *, bidirectional: bool, num_buckets: int, max_distance: int) -> int:
    """The bucket of key - query, from the description in Raffel et al. 2020, §2.1, for one distance."""
    bucket, distance = 0, -distance
    if bidirectional:
        num_buckets //= 2
        if distance < 0:
            bucket, distance = num_buckets, -distance
    distance = max(distance, 0)
    exact = num_buckets // 2
    if distance < exact:
        return bucket + distance
    logarithmic = math.log(distance / exact) / math.log(max_distance / exact) * (num_buckets - exact)
    return bucket + min(exact + int(logarithmic), num_buckets - 1)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (4, 3)])
def test_relative_bias_buckets_are_t5s(bidirectional: bool, num_buckets: int, max_distance: int) -> None:
    module = RelativeBias(3, num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional)
    distances = list(range(-300, 301))
    expected = [
        bucket_of(distance, bidirectional=bidirectional, num_buckets=num_buckets, max_distance=max_distance)
        for distance in distances
    ]
    assert module.buckets(torch.tensor(distances)).tolist() == expected
    assert {min(expected), max(expected)} == {0, num_buckets - 1}

    bias = module(2, 5, dtype=torch.float32, device=DEVICE)
    assert bias.shape == (1, 3, 2, 5)
    for row, column in [(0, 0), (0, 4), (1, 4), (1, 0)]:
        bucket = expected[distances.index(column - (3 + row))]
        assert torch.equal(bias[0, :, row, column], module.table.weight[bucket])


@pytest.mark.parametrize(
    ("num_heads", "slopes"),
    [
        (1, [2**-8]),
        (8, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]),  # Press et al. 2022, §3
        (6, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]),
    ],
)
def test_alibi_slopes_are_those_of_the_paper(num_heads: int, slopes: list[float]) -> None:
    bias = AlibiBias(num_heads)(2, 4, dtype=torch.float64, device=DEVICE)
    distances = torch.tensor([[2, 1, 0, 1], [3, 2, 1, 0]])
    expected = -torch.tensor(slopes, dtype=torch.float64)[None, :, None, None] * distances
    assert torch.equal(bias, expected)


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 6))
def test_positions_count_real_tokens_only(rows: list[list[bool]], query_length: int) -> None:
    positions = token_positions(query_length, 6, mask=torch.tensor(rows))
    assert positions.shape == (len(rows), query_length)
    for row, numbers in zip(rows, positions.tolist(), strict=True):
        for index, number in enumerate(numbers, start=6 - query_length):
            if row[index]:
                assert number == sum(row[:index])


def test_positions_without_a_mask_count_from_the_start() -> None:
    assert token_positions(3, 5).tolist() == [2, 3, 4]
