"""Disentangled attention: what a token says and where it stands are scored apart (He et al. 2021; DeBERTa)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from heedful.nn.attention import SelfAttention
from heedful.nn.cache import LayerCache
from heedful.nn.masks import AttentionMask
from heedful.nn.positions import RelativeVectors
from heedful.nn.rotary import Rotation


class DisentangledAttention(SelfAttention):
    """Scores of content on content, content on position and position on content (He et al. 2021, equation 4).

    (Qᵢ Kⱼᵀ + Qᵢ Kʳ(i-j)ᵀ + Kⱼ Qʳ(i-j)ᵀ) · scale: for each pair the vectors of its relative position, projected.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        content_to_position: bool,
        position_to_content: bool,
        shared_projections: bool,
        **options: Any,
    ) -> None:
        """
        Args:
            content_to_position: score what a query says against where the key stands.
            position_to_content: score what a key says against where the query stands.
            shared_projections: positions go through the projections of content.
            options: those of :class:`SelfAttention`.
        """
        super().__init__(d_model, num_heads, **options)
        width = self.num_heads * self.head_dim
        self.content_to_position = content_to_position
        self.position_to_content = position_to_content
        own = not shared_projections
        self.position_key = nn.Linear(d_model, width) if content_to_position and own else None
        self.position_query = nn.Linear(d_model, width) if position_to_content and own else None

    def forward(
        self,
        x: Tensor,
        mask: AttentionMask,
        *,
        positions: Rotation | RelativeVectors | None = None,
        cache: LayerCache | None = None,  # noqa: ARG002 - an encoder has none
    ) -> Tensor:
        """(B, T, D) -> (B, T, D), every token before and after included."""
        assert isinstance(positions, RelativeVectors)
        query, (keys, values) = self._project_query(x), self._project_keys_values(x)
        scale = self.head_dim**-0.5 if self.kernel.scale is None else self.kernel.scale
        scores = self._position_scores(query, keys, positions) * scale
        if mask.scores is not None:
            scores = scores.masked_fill(~mask.scores, -torch.inf)
        return self._attend(query, keys, values, AttentionMask(scores))

    def _position_scores(self, query: Tensor, keys: Tensor, positions: RelativeVectors) -> Tensor:
        """Query and keys (B, H, T, K) -> what positions add to each pair's score, (B, H, T, T)."""
        shape = (*query.shape[:2], *positions.between.shape)
        scores = query.new_zeros(())
        if self.content_to_position:
            vectors = self._heads_of(self.position_key or self.key, positions)
            scores = scores + (query @ vectors).gather(-1, positions.between.expand(shape))
        if self.position_to_content:
            vectors = self._heads_of(self.position_query or self.query, positions)
            scores = scores + (keys @ vectors).gather(-1, positions.between.T.expand(shape)).transpose(-2, -1)
        return scores.expand(shape)

    def _heads_of(self, projection: nn.Linear, positions: RelativeVectors) -> Tensor:
        """Projected vectors of relative positions, (H, K, R)."""
        vectors: Tensor = projection(positions.vectors)
        return vectors.view(len(vectors), self.num_heads, self.head_dim).permute(1, 2, 0)
