"""Hiding tokens of a text in training, so that a model learns to do without any single one."""

from __future__ import annotations

import torch
from torch import Tensor


def hide_tokens(ids: Tensor, hideable: Tensor, rate: float, mask_id: int | None) -> Tensor:
    """Token ids (B, S), a share of which is replaced by the mask token; as they are where there is no such token.

    Args:
        hideable: (B, S) boolean, True where a token may be hidden.
        rate: the share.
    """
    if not rate or mask_id is None:
        return ids
    hidden = torch.rand(ids.shape, device=ids.device) < rate
    return ids.masked_fill(hidden & hideable, mask_id)
