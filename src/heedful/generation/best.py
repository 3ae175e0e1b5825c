"""The best tokens among many, exactly. N texts, K beams, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 64
"""Tokens of which the best stands for all at first."""


def best_tokens(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` highest scores of each row of (..., V), in order, and their tokens: (..., count) both.

    In two stages: what is among the best lies in one of the ``count`` chunks whose own best are highest. That reads all
    scores once, simply, and sorts few.
    """
    if count == 1:
        values, tokens = scores.max(-1, keepdim=True)
        return values, tokens
    size = scores.shape[-1]
    whole = size - size % CHUNK
    if whole // CHUNK <= count:
        values, tokens = scores.topk(count)
        return values, tokens
    chunks = scores[..., :whole].unflatten(-1, (-1, CHUNK))  # type: ignore[no-untyped-call]
    leading = chunks.amax(-1).topk(count).indices
    places = (leading[..., None] * CHUNK + torch.arange(CHUNK, device=scores.device)).flatten(-2)
    if whole < size:
        rest = torch.arange(whole, size, device=scores.device)
        places = torch.cat([places, rest.expand(*places.shape[:-1], -1)], -1)
    values, order = scores.gather(-1, places).topk(count)
    return values, places.gather(-1, order)
