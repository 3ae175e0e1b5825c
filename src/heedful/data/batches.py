"""Batches under a token budget, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Lengths = Sequence[int] | NDArray[np.integer[Any]]

_JITTER = 0.05
"""Lengths that differ by less than this share may meet in a batch, so that rows of rare lengths meet others too."""


def token_budget_batches(
    lengths: Lengths,
    max_tokens: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    max_rows: int | None = None,
) -> list[NDArray[np.int64]]:
    """Row indices in batches whose padded cost, longest row × rows, is at most ``max_tokens``.

    Rows of like length share a batch. With ``shuffle``, which rows meet and the order of the batches are random,
    and the same for the same ``seed`` and ``epoch``; without, batches run from the longest rows to the shortest.
    A row longer than ``max_tokens`` is alone in its batch.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    generator = np.random.default_rng((seed, epoch))
    keys = lengths.astype(np.float64)
    if shuffle:
        keys *= 1 + _JITTER * generator.random(len(keys))
    order = np.argsort(-keys, kind="stable")
    starts = [0] if len(order) else []
    longest = 0
    for position, length in enumerate(lengths[order].tolist()):
        rows = position - starts[-1]
        longest = max(longest, length)
        if rows and (longest * (rows + 1) > max_tokens or rows == max_rows):
            starts.append(position)
            longest = length
    batches = np.split(order, starts[1:]) if starts else []
    if shuffle:
        batches = [batches[index] for index in generator.permutation(len(batches))]
    return batches


def padding_share(lengths: Lengths, batches: Sequence[NDArray[np.int64]]) -> float:
    """Share, 0 to 1, of the positions of ``batches`` that hold padding."""
    lengths = np.asarray(lengths, dtype=np.int64)
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    real = sum(int(lengths[batch].sum()) for batch in batches)
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
