"""The best continuations in two stages are those of sorting everything."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.generation.best import CHUNK, FEW, best_continuations


@given(
    st.integers(1, 5 * CHUNK),
    st.integers(1, 12),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(0, 3),
    st.booleans(),
)
def test_they_are_the_highest_and_stand_where_they_are_said_to(
    size: int, count: int, lead: tuple[int, int], seed: int, with_ties: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(*lead, size, generator=generator, dtype=torch.float64)
    sums = 3 * torch.randn(*lead, generator=generator, dtype=torch.float64)
    if with_ties:
        scores, sums = scores.round(), sums.round()
    count = min(count, lead[1] * size)
    values, places = best_continuations(scores, sums, count)
    totals = (scores + sums[..., None]).flatten(1)
    assert torch.equal(values, totals.sort(dim=-1, descending=True).values[:, :count])
    assert torch.equal(totals.gather(1, places), values)
    assert all(len(set(row)) == count for row in places.tolist())


@pytest.mark.parametrize("num_texts", [1, 2])
def test_one_is_found_among_few_and_among_many(num_texts: int) -> None:
    scores = torch.randn(num_texts, 1, FEW, generator=torch.Generator().manual_seed(0))
    values, places = best_continuations(scores, torch.ones(num_texts, 1), 1)
    assert torch.equal(places, scores[:, 0].argmax(-1, keepdim=True))
    assert torch.equal(values, scores[:, 0].amax(-1, keepdim=True) + 1)


@pytest.mark.parametrize("size", [CHUNK * 9, CHUNK * 9 + 5])
def test_what_is_forbidden_comes_last(size: int) -> None:
    scores = torch.full((2, 1, size), -torch.inf)
    scores[0, 0, [3, size - 1]] = torch.tensor([1.0, 2.0])
    values, places = best_continuations(scores, torch.zeros(2, 1), 4)
    assert places[0, :2].tolist() == [size - 1, 3]
    assert values[0].tolist() == [2.0, 1.0, -torch.inf, -torch.inf]
    assert values[1].tolist() == [-torch.inf] * 4
