"""Multi-head attention (Vaswani et al. 2017, §3.2), always through PyTorch's fused kernel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heedful.nn.cache import Blocks, LayerCache
from heedful.nn.masks import AttentionMask
from heedful.nn.positions import RelativeVectors
from heedful.nn.rotary import Rotation
from heedful.nn.tracing import is_traced


class AttentionKernel(nn.Module):
    """softmax(scale · Q Kᵀ + mask) V. A query that may look at nothing gets zeros."""

    def __init__(self, *, scale: float | None = None, dropout: float = 0.0) -> None:
        """``scale`` is 1 / √K unless given."""
        super().__init__()
        self.scale = scale
        self.dropout = dropout

    def forward(self, query: Tensor, keys: Blocks, values: Blocks, mask: AttentionMask) -> Tensor:
        """Query (B, H, T, K), keys and values (B, G, S, K), G dividing H -> (B, H, T, K).

        Head h reads key/value head h // (H / G).
        """
        if isinstance(keys, tuple) or isinstance(values, tuple):
            return self._written_out(query, keys, values, mask)
        return F.scaled_dot_product_attention(
            query,
            keys,
            values,
            attn_mask=mask.scores,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=mask.is_causal,
            scale=self.scale,
            enable_gqa=bool(query.shape[1] != keys.shape[1]),  # of plain numbers, even while a tracer follows
        )

    def _scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Before the mask: (B, H, T, K) and (B, H, S, K) -> (B, H, T, S)."""
        scale = query.shape[-1] ** -0.5 if self.scale is None else self.scale
        return query * scale @ keys.transpose(-2, -1)

    def _written_out(self, query: Tensor, keys: Blocks, values: Blocks, mask: AttentionMask) -> Tensor:
        """As :meth:`forward`, step by step; blocks are never put together."""
        scores = torch.cat([self._scores(query, block) for block in _for_each_head(keys, query)], dim=-1)
        if mask.is_causal:
            scores = scores.masked_fill(torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1), -torch.inf)
        if mask.scores is not None:
            boolean = mask.scores.dtype == torch.bool
            scores = scores.masked_fill(~mask.scores, -torch.inf) if boolean else scores + mask.scores
        weights = scores.softmax(-1)
        if not is_traced():  # a tracer's masks let each query see something
            weights = weights.masked_fill((scores == -torch.inf).all(-1, keepdim=True), 0.0)
        weights = F.dropout(weights, self.dropout, self.training)
        first, *others = _for_each_head(values, query)
        if not others:
            return weights @ first
        start = first.shape[2]  # in slices: where weights are split, OpenVINO puts the blocks together
        mixed = weights[..., :start] @ first
        for block in others:
            end = start + block.shape[2]
            mixed = mixed + weights[..., start:end] @ block
            start = end
        return mixed


class SoftCappedKernel(AttentionKernel):
    """Scores are kept within (-c, c) by c · tanh(score / c) before the mask (Gemma Team 2024, §2.2).

    No fused kernel does this on every device, so it is written out.
    """

    def __init__(self, *, soft_cap: float, scale: float | None = None, dropout: float = 0.0) -> None:
        super().__init__(scale=scale, dropout=dropout)
        self.soft_cap = soft_cap

    def forward(self, query: Tensor, keys: Blocks, values: Blocks, mask: AttentionMask) -> Tensor:
        """As :meth:`AttentionKernel.forward`."""
        return self._written_out(query, keys, values, mask)

    def _scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.soft_cap * torch.tanh(super()._scores(query, keys) / self.soft_cap)


def each_head(heads: Tensor, num_heads: int) -> Tensor:
    """Key/value heads (B, G, S, K), one for each head that reads them: (B, H, S, K)."""
    groups = num_heads // int(heads.shape[1])  # of plain numbers, even while a tracer follows
    return heads if groups == 1 else heads.repeat_interleave(groups, dim=1)


def _for_each_head(blocks: Blocks, query: Tensor) -> list[Tensor]:
    """Keys or values in blocks, once for each head of the query (B, H, T, K)."""
    return [each_head(block, int(query.shape[1])) for block in (blocks if isinstance(blocks, tuple) else (blocks,))]


class Attention(nn.Module):
    """What self- and cross-attention share: four projections around the kernel.

    ``num_kv_heads`` below ``num_heads`` lets groups of query heads share keys and values: grouped-query
    attention (Ainslie et al. 2023), or multi-query with one (Shazeer 2019).
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = True,
        output_bias: bool | None = None,
        kernel: AttentionKernel | None = None,
        query_key_norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        """
        Args:
            bias: of the projections of query, key and value; of the output too, unless ``output_bias`` is given.
            kernel: :class:`AttentionKernel` unless given.
            query_key_norm: makes a norm of width K, one for the heads of queries and one for those of keys
                (Henry et al. 2020).
        """
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        self.head_dim = head_dim or d_model // num_heads
        self.query = nn.Linear(d_model, self.num_heads * self.head_dim, bias=bias)
        self.key = nn.Linear(d_model, self.num_kv_heads * self.head_dim, bias=bias)
        self.value = nn.Linear(d_model, self.num_kv_heads * self.head_dim, bias=bias)
        self.query_norm = nn.Identity() if query_key_norm is None else query_key_norm(self.head_dim)
        self.key_norm = nn.Identity() if query_key_norm is None else query_key_norm(self.head_dim)
        self.kernel = kernel or AttentionKernel()
        self.output = nn.Linear(
            self.num_heads * self.head_dim, d_model, bias=bias if output_bias is None else output_bias
        )
        # Where all three are of the same states, one map (B, T, D) -> (B, T, (H + 2 G) · K) may take their place.
        self.together: nn.Module | None = None

    def _split(self, projected: Tensor, num_heads: int) -> Tensor:
        """(B, T, heads · K) -> (B, heads, T, K)."""
        batch, length, _ = projected.shape
        return projected.view(batch, length, num_heads, self.head_dim).transpose(1, 2)

    def _project_query(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, K)."""
        query: Tensor = self.query_norm(self._split(self.query(x), self.num_heads))
        return query

    def _project_keys_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, D) -> keys and values (B, G, S, K), G key/value heads."""
        return (
            self.key_norm(self._split(self.key(source), self.num_kv_heads)),
            self._split(self.value(source), self.num_kv_heads),
        )

    def _attend(self, query: Tensor, keys: Blocks, values: Blocks, mask: AttentionMask) -> Tensor:
        """Heads -> (B, T, D)."""
        mixed: Tensor = self.kernel(query, keys, values, mask)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output


class SelfAttention(Attention):
    """Tokens look at each other."""

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) -> query (B, H, T, K), keys and values (B, G, T, K)."""
        if self.together is None:
            return self._project_query(x), *self._project_keys_values(x)
        heads = (self.num_heads, self.num_kv_heads, self.num_kv_heads)
        parts = self.together(x).split([number * self.head_dim for number in heads], dim=-1)
        query, keys, values = (self._split(part, number) for part, number in zip(parts, heads, strict=True))
        return self.query_norm(query), self.key_norm(keys), values

    def forward(
        self,
        x: Tensor,
        mask: AttentionMask,
        *,
        positions: Rotation | RelativeVectors | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); with a cache, S - T earlier tokens are looked at too."""
        query, keys, values = self._project(x)
        if isinstance(positions, Rotation):
            query, keys = positions.apply(query), positions.apply(keys)
        if cache is None:
            return self._attend(query, keys, values, mask)
        return self._attend(query, *cache.append(keys, values), mask)


class CrossAttention(Attention):
    """Tokens of a decoder look at an encoder's output, the memory."""

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, D) -> keys and values (B, G, S, K), G key/value heads."""
        return self._project_keys_values(memory)

    def forward(self, x: Tensor, mask: AttentionMask, *, memory: Tensor, cache: LayerCache | None = None) -> Tensor:
        """(B, T, D) and memory (B, S, D) -> (B, T, D); a cache projects the memory once and keeps it."""
        if cache is None:
            keys, values = self.project(memory)
        else:
            keys, values = cache.memory = cache.memory or self.project(memory)
        return self._attend(self._project_query(x), keys, values, mask)
