"""Heads: from hidden states to the answer of a job."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heedful.nn.dropout import Dropout


def pool_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens; zeros for a text without any."""
    weights = mask.to(hidden.dtype)
    return torch.einsum("bsd,bs->bd", hidden, weights / weights.sum(1, keepdim=True).clamp(min=1))


def pool_first(hidden: Tensor, mask: Tensor) -> Tensor:
    """The first real token."""
    return _pick(hidden, mask.int().argmax(1))


def pool_last(hidden: Tensor, mask: Tensor) -> Tensor:
    """The last real token."""
    return _pick(hidden, mask.shape[1] - 1 - mask.int().flip(1).argmax(1))


def _pick(hidden: Tensor, index: Tensor) -> Tensor:
    return hidden[torch.arange(index.shape[0], device=index.device), index]


POOLINGS = {"mean": pool_mean, "first": pool_first, "last": pool_last}


class ClassificationHead(nn.Module):
    """Pool, optionally a dense layer with activation and norm, then one logit a label."""

    def __init__(
        self,
        d_model: int,
        num_labels: int,
        *,
        pooling: str = "mean",
        dense_activation: nn.Module | None = None,
        dense_bias: bool = True,
        norm: nn.Module | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        """``dense_activation`` follows the dense layer, which is there only with it."""
        super().__init__()
        self.pool = POOLINGS[pooling]
        self.dense = None if dense_activation is None else nn.Linear(d_model, d_model, bias=dense_bias)
        self.activation = dense_activation
        self.norm = nn.Identity() if norm is None else norm
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(d_model, num_labels, bias=bias)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, S, D) and mask (B, S), True at real tokens -> logits (B, num_labels)."""
        if mask is None:
            mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        pooled = self.dropout(self.pool(hidden, mask))
        if self.dense is not None and self.activation is not None:
            pooled = self.dropout(self.norm(self.activation(self.dense(pooled))))
        logits: Tensor = self.output(pooled)
        return logits
