"""Every text is in one batch, batches keep to their budget, and little is padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data import padding_share
from heedful.inference import batches_of
from heedful.inference.batches import BATCH_COST

Lengths = st.lists(st.integers(0, 60), max_size=200)


@given(Lengths, st.integers(1, 300))
def test_each_row_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = batches_of(lengths, budget)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget or longest == 0
        assert sum(longest - lengths[row] for row in batch) <= BATCH_COST


@given(Lengths)
def test_batches_run_from_the_longest_rows_to_the_shortest(lengths: list[int]) -> None:
    order = [lengths[row] for batch in batches_of(lengths, 128) for row in batch.tolist()]
    assert order == sorted(lengths, reverse=True)


def test_rows_of_one_length_need_no_padding() -> None:
    batches = batches_of([8] * 100 + [300] * 3, 128)
    assert [len(batch) for batch in batches] == [1, 1, 1, *[16] * 6, 4]


def test_a_few_rows_of_like_length_share_a_batch() -> None:
    assert len(batches_of(range(10, 14), 1024)) == 1
    assert [batch.tolist() for batch in batches_of([200, 10], 1024)] == [[0], [1]]


def test_nothing_makes_no_batch() -> None:
    assert batches_of([], 10) == []
    assert [batch.tolist() for batch in batches_of([0, 0], 10)] == [[0, 1]]


@pytest.mark.parametrize("seed", range(3))
def test_padding_is_next_to_nothing_where_there_are_many(seed: int) -> None:
    """Lengths as real texts have them: a long tail."""
    lengths = np.random.default_rng(seed).lognormal(3, 0.8, 3000).astype(int).clip(3, 512)
    assert padding_share(lengths, batches_of(lengths, 1024)) < 0.02
