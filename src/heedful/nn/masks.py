"""Who may look at whom: built once a forward, shared by every layer that looks the same way."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from heedful.nn.tracing import is_traced


class AttentionMask(NamedTuple):
    """What the attention kernel is told about visibility.

    ``scores`` broadcasts to (B, H, T, S): boolean, True where a query may look, or floating, added to the
    scaled scores. None hides nothing, so that the kernel can take its fastest path; ``is_causal`` then says
    that query t sees keys 0..t, with T = S.
    """

    scores: Tensor | None = None
    is_causal: bool = False


def padding_mask(mask: Tensor | None) -> AttentionMask:
    """Every query sees every real key: ``mask`` (B, S), True at real tokens."""
    return AttentionMask(None if mask is None else mask[:, None, None, :])


def self_attention_mask(
    query_length: int,
    key_length: int,
    *,
    causal: bool = False,
    window: int | None = None,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    device: torch.device | None = None,
) -> AttentionMask:
    """Visibility of T queries, the last T of S positions, among themselves and what came before.

    Args:
        query_length: T.
        key_length: S ≥ T; S > T where earlier keys come from a cache.
        causal: hide what comes after a query.
        window: hide keys at this distance or further, before or after the query.
        mask: (B, S) boolean, True at real tokens.
        bias: (1, H, T, S) added to the scaled scores, e.g. of relative positions.
        device: where the mask is needed.
    """
    hides_future = causal and bool(query_length > 1)  # of a plain number, even where a tracer follows
    if window is not None and window >= key_length and not is_traced():
        window = None  # nothing is hidden here; what a tracer writes down is to hold for longer texts too
    if bias is None and mask is None and window is None and (not hides_future or query_length == key_length):
        return AttentionMask(None, is_causal=hides_future)

    allowed = None if mask is None else mask[:, None, None, :]
    if hides_future or window is not None:
        keys = torch.arange(key_length, device=device)
        distance = keys[key_length - query_length :, None] - keys
        visible = torch.ones_like(distance, dtype=torch.bool)
        if hides_future:
            visible &= distance >= 0
        if window is not None:
            visible &= distance.abs() < window
        allowed = visible if allowed is None else allowed & visible
        if is_traced():
            allowed = allowed | (distance == 0)  # padding that sees nothing would be no number in other engines
    if bias is None:
        return AttentionMask(allowed)
    return AttentionMask(bias if allowed is None else bias.masked_fill(~allowed, -torch.inf))
