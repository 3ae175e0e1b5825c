"""Cross-entropy over a large vocabulary, in pieces. N tokens, D width, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from heedful.tasks.text_to_text.batch import IGNORED

MAX_LOGITS = 2**24
"""Numbers of (tokens × vocabulary) that are held at a time."""


def smoothed_cross_entropy(
    hidden: Tensor,
    targets: Tensor,
    logits_of: Callable[[Tensor], Tensor],
    *,
    vocabulary_size: int,
    smoothing: float,
) -> Tensor:
    """Sum over tokens of the cross-entropy with smoothed targets (Szegedy et al. 2016, section 7).

    The logits of all tokens are never held at once: each piece is computed again for its gradient.

    Args:
        hidden: (N, D).
        targets: (N,), ``IGNORED`` where a token adds nothing.
        logits_of: hidden states (n, D) -> logits (n, V).
        smoothing: share of the target that is spread evenly over the vocabulary.
    """

    def piece(states: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(
            logits_of(states), labels, label_smoothing=smoothing, ignore_index=IGNORED, reduction="sum"
        )

    size = max(1, MAX_LOGITS // vocabulary_size)
    if len(targets) <= size:
        return piece(hidden, targets)
    total = hidden.new_zeros(())
    for states, labels in zip(torch.split(hidden, size), torch.split(targets, size), strict=True):
        total = total + checkpoint(piece, states, labels, use_reentrant=False)
    return total
