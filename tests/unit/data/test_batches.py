"""Batches by token budget, and padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from heedful.data import pad_batch, padding_share, token_budget_batches

LENGTHS = st.lists(st.integers(1, 60), max_size=200)


def realistic(count: int) -> NDArray[np.int64]:
    """Lengths as those of short messages: most of 8 to 20 tokens, some of 80."""
    return np.clip(np.random.default_rng(0).lognormal(2.6, 0.5, count).astype(np.int64), 3, 100)


@given(lengths=LENGTHS, max_tokens=st.integers(1, 300), seed=st.integers(0, 5))
def test_each_row_is_in_one_batch_and_the_budget_holds(lengths: list[int], max_tokens: int, seed: int) -> None:
    batches = token_budget_batches(lengths, max_tokens, seed=seed)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        cost = max(lengths[row] for row in batch) * len(batch)
        assert cost <= max_tokens or len(batch) == 1


@given(lengths=LENGTHS, seed=st.integers(0, 5), epoch=st.integers(0, 5))
def test_seed_and_epoch_decide_everything(lengths: list[int], seed: int, epoch: int) -> None:
    first, again = (token_budget_batches(lengths, 100, seed=seed, epoch=epoch) for _ in range(2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in again]


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (0, 1)])
def test_rows_meet_others_in_another_epoch(seed: int, epoch: int) -> None:
    lengths = realistic(3000)
    first = {frozenset(batch.tolist()) for batch in token_budget_batches(lengths, 512, seed=0, epoch=0)}
    second = {frozenset(batch.tolist()) for batch in token_budget_batches(lengths, 512, seed=seed, epoch=epoch)}
    assert len(first) > 80
    assert len(first & second) < 0.05 * len(first)


def test_long_and_short_batches_come_mixed() -> None:
    lengths = realistic(5000)
    batches = token_budget_batches(lengths, 512)
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.2
    rows = np.concatenate(batches)
    assert abs(np.corrcoef(np.arange(len(rows)), rows)[0, 1]) < 0.1


@pytest.mark.parametrize(("max_tokens", "most"), [(1024, 0.015), (4096, 0.025), (16384, 0.095)])
def test_little_is_padding(max_tokens: int, most: float) -> None:
    lengths = realistic(20_000)
    in_order = [np.arange(start, start + 32) for start in range(0, 20_000, 32)]
    assert padding_share(lengths, token_budget_batches(lengths, max_tokens)) < most
    assert padding_share(lengths, in_order) > 0.5


@given(
    lengths=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=200),
    max_tokens=st.integers(2, 300),
)
def test_parts_that_are_padded_apart_keep_the_budget_together(lengths: list[tuple[int, int]], max_tokens: int) -> None:
    batches = token_budget_batches(lengths, max_tokens)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        cost = len(batch) * sum(max(lengths[row][part] for row in batch) for part in (0, 1))
        assert cost <= max_tokens or len(batch) == 1


def test_pairs_that_are_alike_on_both_sides_meet() -> None:
    """Sources and targets of captions: little is padding, where ordering by the sum alone leaves a fifth of it."""
    sources = realistic(20_000)
    targets = np.maximum(1, sources + np.random.default_rng(1).normal(0, 4, 20_000).astype(np.int64))
    pairs = np.stack([sources, targets], axis=1)
    by_sum = token_budget_batches(pairs.sum(axis=1), 4096)
    assert padding_share(pairs, token_budget_batches(pairs, 4096)) < 0.105
    assert padding_share(pairs, by_sum) > 0.2


def test_padding_share_counts_cells() -> None:
    assert padding_share([1, 3, 2], [np.array([0, 1]), np.array([2])]) == pytest.approx(2 / 8)
    assert padding_share([], []) == 0.0


def test_rows_are_padded_at_the_end() -> None:
    ids, mask = pad_batch([[5, 6, 7], [8], []], pad_id=9)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 9], [9, 9, 9]]
    assert mask.tolist() == [[True, True, True], [True, False, False], [False, False, False]]
    assert str(ids.dtype) == "torch.int64"


def test_no_rows_make_an_empty_batch() -> None:
    ids, mask = pad_batch([], pad_id=0)
    assert ids.shape == mask.shape == (0, 0)
