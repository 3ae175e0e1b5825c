"""Positions, five ways: sinusoidal, learned, rotary, T5's relative bias and ALiBi.

Fixed tables are computed where they are needed, in the model's precision but never below float32: kept as
buffers they would lose digits when a model is cast.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


def token_positions(
    query_length: int, key_length: int, *, mask: Tensor | None = None, device: torch.device | None = None
) -> Tensor:
    """Number the last T of S tokens by the real tokens before them, so that padding shifts no position.

    Args:
        query_length: T.
        key_length: S.
        mask: (B, S) boolean, True at real tokens.
        device: where the positions are needed.

    Returns:
        int64, (B, T) with a mask; (T,) without, the same for every row.
    """
    start = key_length - query_length
    if mask is None:
        return torch.arange(start, key_length, device=device)
    return (mask.cumsum(-1)[:, start:] - 1).clamp_(min=0)


def _angles(positions: Tensor, width: int, base: float, dtype: torch.dtype) -> Tensor:
    """position · base^(-2i/width) for i < width/2: (...) -> (..., width/2), in float32 or better."""
    dtype = torch.promote_types(dtype, torch.float32)
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=dtype) / width
    return positions[..., None] * base**-exponents


class SinusoidalPositions(nn.Module):
    """Fixed sines (even columns) and cosines (odd columns) (Vaswani et al. 2017, §3.5)."""

    def __init__(self, d_model: int, *, base: float = 10_000.0) -> None:
        super().__init__()
        self.d_model = d_model
        self.base = base

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Positions (..., T) -> (..., T, D)."""
        angles = _angles(positions, self.d_model, self.base, dtype)
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)


class LearnedPositions(nn.Module):
    """One learned vector a position (Gehring et al. 2017; Devlin et al. 2019)."""

    def __init__(self, max_positions: int, d_model: int) -> None:
        super().__init__()
        self.table = nn.Embedding(max_positions, d_model)

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Positions (..., T) -> (..., T, D)."""
        vectors: Tensor = self.table(positions)
        return vectors.to(dtype)


class Rotation(NamedTuple):
    """Cosines and sines that turn the heads of a batch: each (T, K/2) or (B, 1, T, K/2)."""

    cosines: Tensor
    sines: Tensor

    def apply(self, heads: Tensor) -> Tensor:
        """Turn queries or keys (B, H, T, K): column i with column i + K/2."""
        first, second = heads.chunk(2, dim=-1)
        return torch.cat(
            [first * self.cosines - second * self.sines, second * self.cosines + first * self.sines], dim=-1
        )


class RotaryPositions(nn.Module):
    """Rotary positions (Su et al. 2021, §3.2), pairs laid out in halves as GPT-NeoX and LLaMA have them."""

    def __init__(self, head_dim: int, *, base: float = 10_000.0) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.base = base

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        """Positions (T,) or (B, T) -> the rotation of that batch's heads."""
        angles = _angles(positions, self.head_dim, self.base, dtype)
        if angles.dim() == 3:
            angles = angles[:, None]
        return Rotation(angles.cos().to(dtype), angles.sin().to(dtype))


def _distances(query_length: int, key_length: int, device: torch.device) -> Tensor:
    """Key position minus query position, (T, S); the queries are the last T of S positions."""
    positions = torch.arange(key_length, device=device)
    return positions - positions[key_length - query_length :, None]


class RelativeBias(nn.Module):
    """A learned bias for each head and bucket of distance (Raffel et al. 2020, §2.1; T5).

    Half of the buckets are exact distances; the rest grow logarithmically up to ``max_distance``.
    Bidirectional models spend half of all buckets on keys after the query.
    """

    def __init__(self, num_heads: int, *, num_buckets: int = 32, max_distance: int = 128, bidirectional: bool) -> None:
        super().__init__()
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.table = nn.Embedding(num_buckets, num_heads)

    def forward(self, query_length: int, key_length: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Bias of the last T of S positions on all S: (1, H, T, S)."""
        bias: Tensor = self.table(self.buckets(_distances(query_length, key_length, device)))
        return bias.permute(2, 0, 1)[None].to(dtype)

    def buckets(self, distances: Tensor) -> Tensor:
        """The bucket of each distance key - query."""
        num_buckets, start = self.num_buckets, torch.zeros_like(distances)
        if self.bidirectional:
            num_buckets //= 2
            start = num_buckets * (distances > 0)
            distances = distances.abs()
        else:
            distances = (-distances).clamp(min=0)
        exact = num_buckets // 2
        growth = torch.log(distances.clamp(min=1) / exact) / math.log(self.max_distance / exact)
        distant = (exact + (growth * (num_buckets - exact)).long()).clamp(max=num_buckets - 1)
        return start + torch.where(distances < exact, distances, distant)


class AlibiBias(nn.Module):
    """A fixed penalty that grows with distance, steeper in some heads (Press et al. 2022, §3; ALiBi).

    Where keys after the query are visible, their distance counts the same.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.slopes = alibi_slopes(num_heads)

    def forward(self, query_length: int, key_length: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Bias of the last T of S positions on all S: (1, H, T, S)."""
        slopes = torch.tensor(self.slopes, dtype=dtype, device=device)
        penalty: Tensor = slopes[:, None, None] * _distances(query_length, key_length, device).abs()
        return -penalty[None]


def alibi_slopes(num_heads: int) -> list[float]:
    """Slopes 2^(-8h/H), h = 1..H; for H not a power of two, filled from the next larger series.

    The filling follows the authors' published code (Press et al. 2022).
    """
    whole = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * head / whole) for head in range(1, whole + 1)]
    between = [2 ** (-4 * head / whole) for head in range(1, 2 * (num_heads - whole), 2)]
    return slopes + between
