"""What classification minimises. B texts, C labels.

Targets are (B,) label numbers, ``IGNORED`` where a text adds nothing, or (B, C) of 0 and 1 where a text may have
several labels; then each text's loss is the mean over the labels of its yes-or-no losses.
"""

from __future__ import annotations

from typing import Any

import torch
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


def mixed_cross_entropy(logits: Tensor, targets: Tensor, mixup: float, **options: Any) -> Tensor:
    """Sum over texts of the cross-entropy of each text mixed with another one of the batch.

    λ z + (1 - λ) z' is to say λ t + (1 - λ) t', with one λ ~ Beta(α, α) a batch (Zhang et al. 2018, equation 1;
    Guo et al. 2019 for sentences). A linear output makes the mixing of pooled states and of logits z the same.

    Args:
        mixup: α; 0 for no mixing. Near 0 one of the two texts dominates, at 1 every share is as likely.
        options: those of :func:`cross_entropy`, which is linear in the targets.
    """
    if not mixup:
        return cross_entropy(logits, targets, **options)
    share = float(torch.distributions.Beta(mixup, mixup).sample())
    other = torch.randperm(len(targets), device=targets.device)
    mixed = share * logits + (1 - share) * logits[other]
    return share * cross_entropy(mixed, targets, **options) + (1 - share) * cross_entropy(
        mixed, targets[other], **options
    )
