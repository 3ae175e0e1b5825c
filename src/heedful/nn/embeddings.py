"""Into the vocabulary and out of it: token embeddings and the language-model head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heedful.nn.positions import LearnedPositions, SinusoidalPositions


class Embeddings(nn.Module):
    """Makes a stack's input from token vectors: scaled, with positions and token types added, dropped out.

    The token table itself belongs to the model, since encoder, decoder and output may share it.
    """

    def __init__(
        self,
        d_model: int,
        *,
        scaled: bool = False,
        positions: SinusoidalPositions | LearnedPositions | None = None,
        num_token_types: int = 0,
        dropout: float = 0.0,
    ) -> None:
        """``scaled`` multiplies token vectors by √D (Vaswani et al. 2017, §3.4)."""
        super().__init__()
        self.scale = d_model**0.5 if scaled else 1.0
        self.positions = positions
        self.token_types = nn.Embedding(num_token_types, d_model) if num_token_types else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, positions: Tensor, token_types: Tensor | None = None) -> Tensor:
        """Token vectors (B, T, D), positions (T,) or (B, T), types (B, T), 0 unless given -> (B, T, D)."""
        x = tokens * self.scale if self.scale != 1.0 else tokens
        if self.positions is not None:
            x = x + self.positions(positions, x.dtype)
        if self.token_types is not None:
            x = x + (self.token_types.weight[0] if token_types is None else self.token_types(token_types))
        output: Tensor = self.dropout(x)
        return output


class LanguageModelHead(nn.Module):
    """Logits over the vocabulary; tied to the token table (Press and Wolf 2017), it has no own weight."""

    def __init__(self, d_model: int, vocabulary_size: int, *, tied: bool = False, bias: bool = False) -> None:
        super().__init__()
        self.weight = None if tied else nn.Parameter(torch.zeros(vocabulary_size, d_model))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size)) if bias else None

    def forward(self, hidden: Tensor, token_table: Tensor) -> Tensor:
        """Hidden states (..., D) and the token table (V, D) -> (..., V)."""
        return F.linear(hidden, token_table if self.weight is None else self.weight, self.bias)
