"""The best continuations among many, exactly. N texts, K beams, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 64
"""Tokens of which the best stands for all at first."""
FEW = 2**16
"""Scores among which one is found sooner at once."""


def best_continuations(scores: Tensor, sums: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest of what beams and their next tokens are worth together.

    In two stages: what is among the best of a text lies in one of the ``count`` chunks of its beams' tokens whose own
    best are highest. That reads all scores once, simply, and sorts few.

    Args:
        scores: (N, K, V), of each token.
        sums: (N, K), of each beam, which are added.
        count: of those that are wanted, K · V at most.

    Returns:
        (N, count) both: the sums, in order, and where they stand among K · V.
    """
    num_beams, size = scores.shape[1:]
    if count == num_beams == 1 and scores.numel() <= FEW:
        values, tokens = scores[:, 0].max(-1, keepdim=True)
        return values + sums, tokens
    whole = size - size % CHUNK
    if num_beams * whole // CHUNK <= count:
        values, places = (scores + sums[..., None]).flatten(1).topk(count)
        return values, places
    chunks = scores[..., :whole].unflatten(-1, (-1, CHUNK)).amax(-1)  # type: ignore[no-untyped-call]
    leading = (chunks + sums[..., None]).flatten(1).topk(count).indices
    beams, numbers = leading // chunks.shape[-1], leading % chunks.shape[-1]
    places = ((beams * size + numbers * CHUNK)[..., None] + torch.arange(CHUNK, device=scores.device)).flatten(1)
    if whole < size:  # what is left of each beam's tokens is no chunk
        starts = torch.arange(num_beams, device=scores.device)[:, None] * size
        rest = (starts + torch.arange(whole, size, device=scores.device)).flatten()
        places = torch.cat([places, rest.expand(len(places), -1)], 1)
    totals = scores.flatten(1).gather(1, places) + sums.gather(1, places // size)
    values, order = totals.topk(count)
    return values, places.gather(1, order)
