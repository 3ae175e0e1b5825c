"""A small hybrid of ours: convolutions read each word's neighbourhood, attention reads the whole text.

This is plain PyTorch and knows nothing of heedful. What heedful asks of a model is the attribute ``d_model`` and the
method ``encode``; the factory below makes one for a tokenizer of a given size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedConvolution(nn.Module):
    """Each token takes in its neighbours, as many as a gate lets through."""

    def __init__(self, d_model: int, *, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        # One group a channel: each has two filters of its own, one for values and one for gates.
        self.convolution = nn.Conv1d(d_model, 2 * d_model, width, padding=width // 2, groups=d_model)
        self.mix = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """States (B, S, D) and mask (B, S), True at real tokens -> states (B, S, D)."""
        # Padding is set to zero, or it would leak into the words beside it.
        inner = self.norm(hidden).masked_fill(~mask[:, :, None], 0)
        values, gates = self.convolution(inner.transpose(1, 2)).unflatten(1, (-1, 2)).unbind(2)
        gated = (values * gates.sigmoid()).transpose(1, 2)
        added: Tensor = self.dropout(self.mix(gated))
        return hidden + added


class Attention(nn.Module):
    """Each token looks at all others."""

    def __init__(self, d_model: int, *, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """States (B, S, D) and mask (B, S), True at real tokens -> states (B, S, D)."""
        inner = self.norm(hidden)
        seen, _ = self.attention(inner, inner, inner, key_padding_mask=~mask, need_weights=False)
        added: Tensor = self.dropout(seen)
        return hidden + added


class Hybrid(nn.Module):
    """Convolution, attention, convolution, attention, … There are no positions: convolutions know the order."""

    def __init__(self, vocabulary_size: int, d_model: int, layers: list[nn.Module], dropout: float) -> None:
        super().__init__()
        self.d_model = d_model
        self.embedding = nn.Embedding(vocabulary_size, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)  # small, so that what the layers add counts at once
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(d_model)

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token ids (B, S) and mask (B, S), True at real tokens -> states (B, S, D), which heedful pools."""
        mask = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        hidden = self.dropout(self.embedding(ids))
        for layer in self.layers:
            hidden = layer(hidden, mask)
        states: Tensor = self.norm(hidden)
        return states


def build(
    vocabulary_size: int,
    *,
    d_model: int = 128,
    depth: int = 2,
    num_heads: int = 4,
    width: int = 5,
    dropout: float = 0.2,
) -> Hybrid:
    """The factory: ``vocabulary_size`` comes from the tokenizer, everything else from the recipe's arguments."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers.append(GatedConvolution(d_model, width=width, dropout=dropout))
        layers.append(Attention(d_model, num_heads=num_heads, dropout=dropout))
    return Hybrid(vocabulary_size, d_model, layers, dropout)
