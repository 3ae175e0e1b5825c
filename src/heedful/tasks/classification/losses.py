"""What classification minimises. B texts, C labels.

Targets are (B,) label numbers, ``IGNORED`` where a text adds nothing, or (B, C) of 0 and 1 where a text may have
several labels; then each text's loss is the mean over the labels of its yes-or-no losses.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
"""The target of a text whose label is out of scope: it adds nothing to the loss."""


def cross_entropy(
    logits: Tensor, targets: Tensor, *, class_weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Sum over texts of the cross-entropy of logits (B, C) with smoothed targets (Szegedy et al. 2016, section 7).

    Args:
        class_weights: (C,) by label; where a text may have several, of its yes only.
        smoothing: share of the target that is spread evenly over all labels, or over yes and no.
    """
    class_weights = None if class_weights is None else class_weights.to(logits)
    if targets.dim() == 2:
        smoothed = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, smoothed, reduction="sum", pos_weight=class_weights)
        return losses / logits.shape[-1]
    return F.cross_entropy(
        logits, targets, weight=class_weights, label_smoothing=smoothing, ignore_index=IGNORED, reduction="sum"
    )


def divergence(logits: Tensor, again: Tensor, targets: Tensor) -> Tensor:
    """Sum over texts of the mean of KL(p‖q) and KL(q‖p), of two answers (B, C) to the same texts."""
    if targets.dim() == 2:
        # (p - q)(log p - log q) summed over yes and no is (p - q) times the difference of the logits.
        return 0.5 * ((logits.sigmoid() - again.sigmoid()) * (logits - again)).sum() / logits.shape[-1]
    inside = targets != IGNORED
    one, two = logits[inside].log_softmax(-1), again[inside].log_softmax(-1)
    return 0.5 * ((one.exp() - two.exp()) * (one - two)).sum()
