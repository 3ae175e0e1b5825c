"""The best tokens in two stages are those of sorting everything."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.generation.best import CHUNK, best_tokens


@given(
    st.integers(1, 5 * CHUNK),
    st.integers(1, 12),
    st.lists(st.integers(1, 3), max_size=2),
    st.integers(0, 3),
    st.booleans(),
)
def test_they_are_the_highest_and_stand_where_they_are_said_to(
    size: int, count: int, lead: list[int], seed: int, with_ties: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(*lead, size, generator=generator, dtype=torch.float64)
    if with_ties:
        scores = scores.round()
    count = min(count, size)
    values, tokens = best_tokens(scores, count)
    assert torch.equal(values, scores.sort(dim=-1, descending=True).values[..., :count])
    assert torch.equal(scores.gather(-1, tokens), values)
    assert all(len(set(row)) == count for row in tokens.reshape(-1, count).tolist())


@pytest.mark.parametrize("size", [CHUNK * 9, CHUNK * 9 + 5])
def test_what_is_forbidden_comes_last(size: int) -> None:
    scores = torch.full((2, size), -torch.inf)
    scores[0, [3, size - 1]] = torch.tensor([1.0, 2.0])
    values, tokens = best_tokens(scores, 4)
    assert tokens[0, :2].tolist() == [size - 1, 3]
    assert values[0].tolist() == [2.0, 1.0, -torch.inf, -torch.inf]
    assert values[1].tolist() == [-torch.inf] * 4
