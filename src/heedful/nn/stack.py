"""A stack of layers: an encoder, or a decoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from heedful.nn.cache import KeyValueCache, LayerCache
from heedful.nn.embeddings import Embeddings
from heedful.nn.layer import Layer
from heedful.nn.masks import AttentionMask, padding_mask, self_attention_mask
from heedful.nn.positions import AlibiBias, RelativeBias, RelativeEmbeddings, token_positions
from heedful.nn.rotary import RotaryPositions

LayerPositions = RotaryPositions | RelativeEmbeddings
"""What layers of a stack share, worked out once."""


class Stack(nn.Module):
    """Embeddings, layers, final norm; relative positions are worked out once for all layers."""

    def __init__(
        self,
        *,
        embeddings: Embeddings,
        layers: Iterable[Layer],
        norm: nn.Module | None = None,
        positions: Sequence[LayerPositions | None] | None = None,
        relative_bias: RelativeBias | AlibiBias | None = None,
        causal: bool = False,
        order: Sequence[int] | None = None,
    ) -> None:
        """
        Args:
            positions: what the self-attention of each layer is told about positions; layers may share a module.
            order: the layers to run, by number: a layer may run several times (Lan et al. 2020; ALBERT). Each once,
                in turn, unless given.
        """
        super().__init__()
        layers = list(layers)
        positions = positions or [None] * len(layers)
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)
        self.norm = nn.Identity() if norm is None else norm
        self.positions = nn.ModuleList(dict.fromkeys(module for module in positions if module is not None))
        self.relative_bias = relative_bias
        self.causal = causal
        self.order = tuple(range(len(layers)) if order is None else order)
        shared = list(self.positions)
        self._positions = [None if module is None else shared.index(module) for module in positions]
        self._windows = [layer.window for layer in layers]

    @property
    def max_positions(self) -> int | None:
        """The longest text the stack can take, in tokens; None where nothing limits it."""
        limits = (getattr(module, "max_positions", None) for module in (self.embeddings.positions, *self.positions))
        return min((limit for limit in limits if limit is not None), default=None)

    def forward(
        self,
        tokens: Tensor,
        *,
        mask: Tensor | None = None,
        token_types: Tensor | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Token vectors -> hidden states.

        Args:
            tokens: (B, T, D).
            mask: (B, T) boolean, True at real tokens; None where all are.
            token_types: (B, T) int64.
            memory: (B, S, D), what cross-attention looks at.
            memory_mask: (B, S) boolean.
            cache: holds the tokens before these; these are added to it.

        Returns:
            (B, T, D).
        """
        query_length = tokens.shape[1]
        if cache is not None:
            mask = cache.extend(query_length, mask)
        key_length = query_length if cache is None else cache.length

        positions = token_positions(query_length, key_length, mask=mask, device=tokens.device)
        masks = self._masks(query_length, key_length, mask, dtype=tokens.dtype, device=tokens.device)
        caches = [None] * len(self.order) if cache is None else cache.layers
        x = self.embeddings(tokens, positions, token_types)
        return self._run(x, positions, masks, memory=memory, memory_mask=memory_mask, caches=caches)

    def step(
        self,
        tokens: Tensor,
        *,
        positions: Tensor,
        key_positions: Tensor,
        visible: Tensor,
        memory_mask: Tensor | None,
        caches: Sequence[LayerCache],
    ) -> Tensor:
        """The next token of each of K beams of B texts; what each sees is said one by one.

        Args:
            tokens: (B, K, D).
            positions: (B, K), of these tokens in their texts.
            key_positions: (B, S), of all tokens in the caches, these included as the last K.
            visible: (B, K, S) boolean, True where a beam may look.
            memory_mask: (B, source tokens) boolean, of what the caches hold of the encoder's output.
            caches: one for each layer that is run; these tokens are added to them.

        Returns:
            (B, K, D).
        """
        distances = key_positions[:, None, :] - positions[..., None]
        # Numbers that are added, since the kernel would turn a boolean mask into them anew in each layer.
        bias = tokens.new_zeros(()) if self.relative_bias is None else self.relative_bias.at(distances, tokens.dtype)
        masks: dict[int | None, AttentionMask] = {}
        for window in set(self._windows):
            allowed = (visible if window is None else visible & (distances.abs() < window))[:, None]
            masks[window] = AttentionMask(bias.masked_fill(~allowed, -torch.inf))
        x = self.embeddings(tokens, positions)
        return self._run(x, positions, masks, memory=None, memory_mask=memory_mask, caches=caches)

    def _run(
        self,
        x: Tensor,
        positions: Tensor,
        masks: Mapping[int | None, AttentionMask],
        *,
        memory: Tensor | None,
        memory_mask: Tensor | None,
        caches: Sequence[LayerCache | None],
    ) -> Tensor:
        """All layers and the last norm: (B, T, D) -> (B, T, D)."""
        shared = [module(positions, x.dtype) for module in self.positions]
        memory_visible = padding_mask(memory_mask)
        for number, layer_cache in zip(self.order, caches, strict=True):
            which = self._positions[number]
            x = self.layers[number](
                x,
                masks[self._windows[number]],
                positions=None if which is None else shared[which],
                memory=memory,
                memory_mask=memory_visible,
                cache=layer_cache,
            )
        output: Tensor = self.norm(x)
        return output

    def _masks(
        self, query_length: int, key_length: int, mask: Tensor | None, *, dtype: torch.dtype, device: torch.device
    ) -> dict[int | None, AttentionMask]:
        """What self-attention may see, for each window that the layers have."""
        bias = None
        if self.relative_bias is not None:
            bias = self.relative_bias(query_length, key_length, dtype=dtype, device=device)
        return {
            window: self_attention_mask(
                query_length, key_length, causal=self.causal, window=window, mask=mask, bias=bias, device=device
            )
            for window in set(self._windows)
        }

    def new_cache(self, batch_size: int, max_length: int, *, dtype: torch.dtype, device: torch.device) -> KeyValueCache:
        """Room for ``max_length`` tokens of ``batch_size`` texts."""
        return KeyValueCache(
            self.head_shapes,
            batch_size=batch_size,
            max_length=max_length,
            dtype=dtype,
            device=device,
        )

    def project_memory(self, memory: Tensor) -> list[tuple[Tensor, Tensor] | None]:
        """Keys and values (B, G, S, K) of (B, S, D) for the cross-attention of each layer that is run."""
        attentions = (cast("Layer", self.layers[number]).cross_attention for number in self.order)
        return [None if attention is None else attention.project(memory) for attention in attentions]

    @property
    def memory_shapes(self) -> list[tuple[int, int] | None]:
        """Key/value heads and K of the cross-attention of each layer that is run, None where it has none."""
        attentions = (cast("Layer", self.layers[number]).cross_attention for number in self.order)
        return [None if attention is None else (attention.num_kv_heads, attention.head_dim) for attention in attentions]

    @property
    def head_shapes(self) -> list[tuple[int, int]]:
        """Key/value heads and K of the self-attention of each layer that is run; (0, 0) where it has none."""
        attentions = (cast("Layer", self.layers[number]).self_attention for number in self.order)
        return [
            (0, 0) if attention is None else (attention.num_kv_heads, attention.head_dim) for attention in attentions
        ]
