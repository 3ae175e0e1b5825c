"""Into the vocabulary and out of it: token embeddings and the language-model head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heedful.nn.dropout import Dropout
from heedful.nn.positions import LearnedPositions, SinusoidalPositions


class Embeddings(nn.Module):
    """Makes a stack's input from token vectors: scaled, with positions and types added, normed, dropped out, projected.

    The token table itself belongs to the model, since encoder, decoder and output may share it.
    """

    def __init__(
        self,
        d_model: int,
        *,
        scaled: bool = False,
        positions: SinusoidalPositions | LearnedPositions | None = None,
        num_token_types: int = 0,
        norm: nn.Module | None = None,
        dropout: float = 0.0,
        width: int | None = None,
    ) -> None:
        """
        Args:
            scaled: multiply token vectors by √D (Vaswani et al. 2017, §3.4).
            width: E, of the token vectors, from which a linear map leads to D (Lan et al. 2020, §3.1; ALBERT); D, and
                no such map, unless given.
        """
        super().__init__()
        self.scale = d_model**0.5 if scaled else 1.0
        self.positions = positions
        self.token_types = nn.Embedding(num_token_types, width or d_model) if num_token_types else None
        self.norm = nn.Identity() if norm is None else norm
        self.dropout = Dropout(dropout)
        self.projection = nn.Identity() if width is None else nn.Linear(width, d_model)

    def forward(self, tokens: Tensor, positions: Tensor, token_types: Tensor | None = None) -> Tensor:
        """Token vectors (B, T, E), positions (T,) or (B, T), types (B, T), 0 unless given -> (B, T, D)."""
        x = tokens * self.scale if self.scale != 1.0 else tokens
        if self.positions is not None:
            x = x + self.positions(positions, x.dtype)
        if self.token_types is not None:
            x = x + (self.token_types.weight[0] if token_types is None else self.token_types(token_types))
        output: Tensor = self.projection(self.dropout(self.norm(x)))
        return output


class OutputTransform(nn.Module):
    """norm(activation(dense(x))), what masked language models put before the output (Devlin et al. 2019)."""

    def __init__(self, d_model: int, width: int, *, activation: nn.Module, norm: nn.Module, bias: bool = True) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, width, bias=bias)
        self.activation = activation
        self.norm = norm

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        output: Tensor = self.norm(self.activation(self.dense(hidden)))
        return output


class SoftCap(nn.Module):
    """c · tanh(x / c), which keeps logits within (-c, c) (Gemma Team 2024, §2.2)."""

    def __init__(self, limit: float) -> None:
        """``limit`` is c."""
        super().__init__()
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        return self.limit * torch.tanh(x / self.limit)


class LanguageModelHead(nn.Module):
    """Logits over the vocabulary; tied to the token table (Press and Wolf 2017), it has no own weight."""

    def __init__(
        self,
        width: int,
        vocabulary_size: int,
        *,
        tied: bool = False,
        bias: bool = False,
        transform: OutputTransform | None = None,
        scale: float = 1.0,
        soft_cap: float | None = None,
    ) -> None:
        """
        Args:
            width: of the token vectors, E, which is D unless there is a transform.
            scale: multiplies the hidden states (Raffel et al. 2020; T5 1.0).
            soft_cap: logits are kept within so much of 0, see :class:`SoftCap`.
        """
        super().__init__()
        self.transform = nn.Identity() if transform is None else transform
        self.scale = scale
        self.soft_cap = nn.Identity() if soft_cap is None else SoftCap(soft_cap)
        self.weight = None if tied else nn.Parameter(torch.zeros(vocabulary_size, width))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size)) if bias else None
        # A map (..., E) -> (..., V) may take the place of weight and bias, such as that of ``linear``, rounded.
        self.product: nn.Module | None = None

    def linear(self, token_table: Tensor) -> nn.Linear:
        """The product with the vocabulary as a map by itself, which shares the weight, or the token table, and bias."""
        weight = token_table if self.weight is None else self.weight
        size, width = weight.shape
        linear = nn.Linear(width, size, bias=self.bias is not None, device="meta")
        linear.weight = weight
        if self.bias is not None:
            linear.bias = self.bias
        return linear

    def forward(self, hidden: Tensor, token_table: Tensor, product: nn.Module | None = None) -> Tensor:
        """Hidden states (..., D) and the token table (V, E) -> (..., V).

        Args:
            product: in the place of the head's own, such as that with some tokens only.
        """
        hidden = self.transform(hidden)
        if self.scale != 1.0:
            hidden = hidden * self.scale
        product = self.product if product is None else product
        if product is None:
            logits = F.linear(hidden, token_table if self.weight is None else self.weight, self.bias)
        else:
            logits = product(hidden)
        capped: Tensor = self.soft_cap(logits)
        return capped
