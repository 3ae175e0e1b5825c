"""Batches under a token budget, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Lengths = Sequence[int] | Sequence[tuple[int, ...]] | NDArray[np.integer[Any]]

_JITTER = 0.05
"""Lengths that differ by less than this share may meet in a batch, so that rows of rare lengths meet others too."""


def token_budget_batches(
    lengths: Lengths, max_tokens: int, *, seed: int = 0, epoch: int = 0
) -> list[NDArray[np.int64]]:
    """Row indices in batches to learn from, whose padded cost, longest row × rows, is at most ``max_tokens``.

    Rows of like length share a batch. Which rows meet and the order of the batches are random, and the same for the
    same ``seed`` and ``epoch``. A row longer than ``max_tokens`` is alone in its batch.

    Args:
        lengths: (N,), or (N, P) where each row has P parts that are padded apart from each other, such as a source and
            a target; the cost of a row is then the sum of the longest parts.
    """
    parts = _as_parts(lengths)
    generator = np.random.default_rng((seed, epoch))
    keys = parts * (1 + _JITTER * generator.random(parts.shape))
    order = _side_by_side(keys, max_tokens)
    starts = [0] if len(order) else []
    longest = np.zeros(parts.shape[1], dtype=np.int64)
    for position, row in enumerate(parts[order]):
        rows = position - starts[-1]
        longest = np.maximum(longest, row)
        if rows and longest.sum() * (rows + 1) > max_tokens:
            starts.append(position)
            longest = row
    batches = np.split(order, starts[1:]) if starts else []
    return [batches[index] for index in generator.permutation(len(batches))]


def _as_parts(lengths: Lengths) -> NDArray[np.int64]:
    """(N,) or (N, P) -> (N, P)."""
    parts = np.asarray(lengths, dtype=np.int64)
    return parts[:, None] if parts.ndim == 1 else parts


def _side_by_side(keys: NDArray[np.float64], max_tokens: int) -> NDArray[np.int64]:
    """An order of the rows of (N, P) in which neighbours are alike in each part, the longest in all first.

    Strips of like total length, as many as each holds batches, each from long to short first parts or back.
    """
    totals = keys.sum(1)
    order = np.argsort(-totals, kind="stable")
    if keys.shape[1] > 1:
        num_batches = totals.sum() / max_tokens
        share = np.cumsum(totals[order]) / max(totals.sum(), 1)
        strips = np.floor(share * np.sqrt(num_batches)).astype(np.int64)
        forth_and_back = np.where(strips % 2 == 0, -1, 1) * keys[order, 0]
        order = order[np.lexsort((forth_and_back, strips))]
    return order


def padding_share(lengths: Lengths, batches: Sequence[NDArray[np.int64]]) -> float:
    """Share, 0 to 1, of the positions of ``batches`` that hold padding."""
    parts = _as_parts(lengths)
    padded = sum(int(parts[batch].max(0).sum()) * len(batch) for batch in batches)
    real = sum(int(parts[batch].sum()) for batch in batches)
    return 1 - real / padded if padded else 0.0


def pad_batch(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of unequal length as ``ids`` (B, S) int64 and ``mask`` (B, S) bool, True at real tokens."""
    width = max((len(row) for row in rows), default=0)
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.bool_)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = True
    return torch.from_numpy(ids), torch.from_numpy(mask)
