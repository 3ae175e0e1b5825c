"""Positions: sinusoidal, learned, T5's relative bias, ALiBi and DeBERTa's; rotary ones have their own file.

Fixed tables are computed where they are needed, in float32 or better whatever the model's precision: kept as buffers
they would lose digits when a model is cast.
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


def frequencies(width: int, base: float, span: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """base^(-2i/span) for i < width/2: (width/2,), in float32 or better."""
    dtype = torch.promote_types(dtype, torch.float32)
    return base ** -(torch.arange(0, width, 2, device=device, dtype=dtype) / span)


class SinusoidalPositions(nn.Module):
    """Fixed sines and cosines (Vaswani et al. 2017, §3.5): sines in even columns, cosines in odd ones.

    With ``halves``, sines come first and then all cosines, as in tensor2tensor and Marian; with ``inclusive``,
    the frequencies run from 1 to exactly 1/base, as in tensor2tensor and fairseq. ``offset`` is the number of the
    first position.
    """

    def __init__(
        self,
        d_model: int,
        *,
        base: float = 10_000.0,
        halves: bool = False,
        inclusive: bool = False,
        offset: int = 0,
        max_positions: int | None = None,
    ) -> None:
        super().__init__()
        self.d_model = d_model
        self.base = base
        self.halves = halves
        self.span = d_model - 2 if inclusive else d_model
        self.offset = offset
        self.max_positions = max_positions

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Positions (..., T) -> (..., T, D)."""
        # In float32 the angle of position 1,000 would be off by 6e-5; MPS has nothing wider.
        wide = torch.float32 if positions.device.type == "mps" else torch.float64
        rates = frequencies(self.d_model, self.base, self.span, device=positions.device, dtype=wide)
        angles = (positions + self.offset)[..., None] * rates
        waves = [angles.sin(), angles.cos()]
        return (torch.cat(waves, -1) if self.halves else torch.stack(waves, -1).flatten(-2)).to(dtype)


class LearnedPositions(nn.Module):
    """One learned vector a position (Gehring et al. 2017; Devlin et al. 2019).

    The table has ``offset`` rows before that of the first position: some models keep them for padding.
    """

    def __init__(self, max_positions: int, d_model: int, *, offset: int = 0) -> None:
        super().__init__()
        self.max_positions = max_positions
        self.offset = offset
        self.table = nn.Embedding(max_positions + offset, d_model)

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Positions (..., T) -> (..., T, D)."""
        vectors: Tensor = self.table(positions + self.offset)
        return vectors.to(dtype)


def key_distances(query_length: int, key_length: int, device: torch.device) -> Tensor:
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
        return self.at(key_distances(query_length, key_length, device), dtype)[None]

    def at(self, distances: Tensor, dtype: torch.dtype) -> Tensor:
        """Bias of each distance key - query: (..., T, S) -> (..., H, T, S)."""
        bias: Tensor = self.table(self.buckets(distances))
        return bias.movedim(-1, -3).to(dtype)

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
        return self.at(key_distances(query_length, key_length, device), dtype)[None]

    def at(self, distances: Tensor, dtype: torch.dtype) -> Tensor:
        """Bias of each distance key - query: (..., T, S) -> (..., H, T, S)."""
        slopes = torch.tensor(self.slopes, dtype=dtype, device=distances.device)
        return -slopes[:, None, None] * distances.abs()[..., None, :, :]


def alibi_slopes(num_heads: int) -> list[float]:
    """Slopes 2^(-8h/H), h = 1..H; for H not a power of two, filled from the next larger series.

    The filling follows the authors' published code (Press et al. 2022).
    """
    whole = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * head / whole) for head in range(1, whole + 1)]
    between = [2 ** (-4 * head / whole) for head in range(1, 2 * (num_heads - whole), 2)]
    return slopes + between


class RelativeVectors(NamedTuple):
    """Vectors of relative positions (R, D), and which of them lies between query and key, int64 (T, S)."""

    vectors: Tensor
    between: Tensor


class RelativeEmbeddings(nn.Module):
    """One learned vector for each bucket of relative distance, shared by all layers (He et al. 2021, §3.1).

    Half of ``num_buckets`` on either side hold exact distances, the rest grow logarithmically up to
    ``max_distance`` (DeBERTa v2); without buckets each distance has a vector of its own.
    """

    def __init__(
        self,
        d_model: int,
        *,
        max_distance: int,
        num_buckets: int | None = None,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.max_distance = max_distance
        self.num_buckets = num_buckets
        self.span = num_buckets or max_distance
        self.table = nn.Embedding(2 * self.span, d_model)
        self.norm = nn.Identity() if norm is None else norm

    def forward(self, positions: Tensor, dtype: torch.dtype) -> RelativeVectors:
        """Positions (T,) or (B, T), of which the number alone counts -> vectors of all distances among them."""
        length = positions.shape[-1]
        index = self.buckets(-key_distances(length, length, positions.device)) + self.span
        return RelativeVectors(self.norm(self.table.weight).to(dtype), index.clamp(0, 2 * self.span - 1))

    def buckets(self, distances: Tensor) -> Tensor:
        """The bucket of each distance query - key, in [-span, span]."""
        if self.num_buckets is None:
            return distances
        exact = self.num_buckets // 2
        size = distances.abs().clamp(min=exact)
        growth = torch.log(size / exact) / torch.log(torch.tensor((self.max_distance - 1) / exact))
        distant = distances.sign() * (torch.ceil(growth * (exact - 1)).long() + exact)
        return torch.where(distances.abs() <= exact, distances, distant)
