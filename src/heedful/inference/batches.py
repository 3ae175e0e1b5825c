"""Which texts are computed together, where nothing is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH_COST = 32
"""What beginning a batch costs, in tokens: padding that saves a batch is worth as much."""


def batches_of(lengths: Sequence[int] | NDArray[np.integer[Any]], max_tokens: int) -> list[NDArray[np.int64]]:
    """Row indices in batches of at most ``max_tokens``, padding included, from the longest rows to the shortest.

    Rows of one length stand together, which needs neither padding nor a mask; shorter ones join a batch where what
    they must be padded by costs less than a batch of their own. A row longer than ``max_tokens`` is alone.

    Args:
        lengths: (N,), tokens of each row.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    _, counts = np.unique(-sizes, return_counts=True)
    batches: list[list[NDArray[np.int64]]] = []
    longest = room = slack = 0
    """Of the batch that is open: its width, and how many rows and how much padding it can still take."""
    for alike in np.split(order, np.cumsum(counts)[:-1]) if len(order) else []:
        size = max(int(sizes[alike[0]]), 1)
        padding = longest - size
        joining = min(room, len(alike), slack // padding if padding > 0 else room)
        if joining < min(room, len(alike)):
            joining = 0  # neither is the batch full then, nor is another one saved
        if joining:
            batches[-1].append(alike[:joining])
            room, slack = room - joining, slack - joining * padding
        rows = max(max_tokens // size, 1)
        for start in range(joining, len(alike), rows):
            part = alike[start : start + rows]
            batches.append([part])
            longest, room, slack = size, rows - len(part), BATCH_COST
    return [np.concatenate(parts) for parts in batches]
