"""A layer-by-layer decomposition of hidden states, written without anything of ``heedful.explanation``.

Every state is carried as a sum of parts: one for each token of the encoder, one for each of the decoder, and one for
all else. Each part goes forward through the very weights, next to the states, by loops over what a layer consists of.
P parts, the last of them the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from heedful.model import Transformer
from heedful.nn import (
    AttentionKernel,
    CrossAttention,
    DisentangledAttention,
    FeedForward,
    Layer,
    RelativeVectors,
    Residual,
    Rotation,
    SelfAttention,
    Stack,
    UnitOffsetRMSNorm,
)


def decompose(
    model: Transformer, ids: Tensor, mask: Tensor, decoder_ids: Tensor | None, decoder_mask: Tensor | None
) -> Tensor:
    """Parts (B, P, T, D) of the last states: of each token of ``ids``, then of ``decoder_ids``, then the rest."""
    memory = None
    if model.encoder is not None:
        memory = _stack(model.encoder, _parts(model.token_embedding(ids)), mask, None, None)
    if model.decoder is None:
        assert memory is not None
        return memory
    if model.encoder is None:
        return _stack(model.decoder, _parts(model.token_embedding(ids)), mask, None, None)
    assert decoder_ids is not None and decoder_mask is not None and memory is not None
    own = _parts(model.written_embedding(decoder_ids))
    # Room for the parts of both sides: the encoder's first, then the decoder's, then the rest of both.
    padded = torch.cat([own.new_zeros(*_like(own, memory.shape[1] - 1)), own], 1)
    room = memory.new_zeros(*_like(memory, own.shape[1] - 1))
    memory = torch.cat([memory[:, :-1], room, memory[:, -1:]], 1)
    return _stack(model.decoder, padded, decoder_mask, memory, mask)


def _like(parts: Tensor, count: int) -> tuple[int, ...]:
    return (parts.shape[0], count, *parts.shape[2:])


def _parts(vectors: Tensor) -> Tensor:
    """(B, T, D) -> (B, T + 1, T, D): each token's vector is its own part, the rest is empty."""
    batch, length, width = vectors.shape
    parts = vectors.new_zeros(batch, length + 1, length, width)
    for place in range(length):
        parts[:, place, place] = vectors[:, place]
    return parts


def _stack(stack: Stack, parts: Tensor, mask: Tensor, memory: Tensor | None, memory_mask: Tensor | None) -> Tensor:
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    embeddings = stack.embeddings
    parts = parts * embeddings.scale
    if embeddings.positions is not None:
        parts = _plus(parts, embeddings.positions(places, parts.dtype))
    if embeddings.token_types is not None:
        parts = _plus(parts, embeddings.token_types.weight[0].expand_as(parts[:, 0]))
    parts = _linear(embeddings.projection, _norm(embeddings.norm, parts))
    shared = [module(places, parts.dtype) for module in stack.positions]
    bias = None
    if stack.relative_bias is not None:
        length = parts.shape[2]
        bias = stack.relative_bias(length, length, dtype=parts.dtype, device=parts.device)
    for number in stack.order:
        layer = stack.layers[number]
        assert isinstance(layer, Layer)
        which = stack._positions[number]
        visible = _visible(mask, layer.window, causal=stack.causal)
        parts = _layer(layer, parts, visible, bias, None if which is None else shared[which], memory, memory_mask)
    return _norm(stack.norm, parts)


def _visible(mask: Tensor, window: int | None, *, causal: bool) -> Tensor:
    distance = torch.arange(mask.shape[1])[:, None] - torch.arange(mask.shape[1])
    visible = mask[:, None, None, :].expand(-1, 1, mask.shape[1], -1).clone()
    if causal:
        visible &= distance >= 0
    if window is not None:
        visible &= distance.abs() < window
    return visible


def _layer(
    layer: Layer,
    parts: Tensor,
    visible: Tensor,
    bias: Tensor | None,
    positions: object,
    memory: Tensor | None,
    memory_mask: Tensor | None,
) -> Tensor:
    slots: list[tuple[Residual | None, Callable[[Tensor], Tensor]]] = []
    if layer.self_attention is not None:
        own = layer.self_attention
        slots.append(
            (layer.self_attention_residual, lambda x: _attention(own, x, x, visible, bias=bias, positions=positions))
        )
    if layer.cross_attention is not None:
        assert memory is not None and memory_mask is not None
        across, seen = layer.cross_attention, memory_mask[:, None, None, :]
        slots.append((layer.cross_attention_residual, lambda x: _attention(across, x, memory, seen)))
    if layer.feed_forward is not None:
        inner = layer.feed_forward
        slots.append((layer.feed_forward_residual, lambda x: _feed_forward(inner, x)))
    output = parts
    for residual, slot in slots:
        assert isinstance(residual, Residual)
        read = parts if layer.parallel else output
        output = output + _norm(residual.norm_after, slot(_norm(residual.norm_before, read)))
        output = _norm(residual.norm_sum, output)
    return output


def _attention(
    attention: SelfAttention | CrossAttention,
    parts: Tensor,
    source: Tensor,
    visible: Tensor,
    *,
    bias: Tensor | None = None,
    positions: object = None,
) -> Tensor:
    heads, groups, width = attention.num_heads, attention.num_kv_heads, attention.head_dim

    def split(x: Tensor, count: int) -> Tensor:
        return x.reshape(*x.shape[:-1], count, width).transpose(-3, -2)

    query = attention.query_norm(split(attention.query(parts.sum(1)), heads))
    keys = attention.key_norm(split(attention.key(source.sum(1)), groups))
    if isinstance(positions, Rotation):
        query, keys = positions.apply(query), positions.apply(keys)
    scale = width**-0.5 if attention.kernel.scale is None else attention.kernel.scale
    keys = keys.repeat_interleave(heads // groups, 1)
    scores = query @ keys.transpose(-2, -1) * scale
    if isinstance(attention, DisentangledAttention):
        assert isinstance(positions, RelativeVectors)
        scores = scores + attention._position_scores(query, keys, positions) * scale
    cap = getattr(attention.kernel, "soft_cap", None)
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    if bias is not None:
        scores = scores + bias
    assert isinstance(attention.kernel, AttentionKernel)
    weights = torch.nan_to_num(scores.masked_fill(~visible, -math.inf).softmax(-1))
    values = split(_linear(attention.value, source), groups).repeat_interleave(heads // groups, -3)
    mixed = weights[:, None] @ values
    return _linear(attention.output, mixed.transpose(-3, -2).flatten(-2))


def _feed_forward(inner: FeedForward, parts: Tensor) -> Tensor:
    up = _linear(inner.up, parts)
    if inner.gate is not None:
        return _linear(inner.down, up * inner.activation(inner.gate(parts.sum(1)))[:, None])
    whole = up.sum(1)
    ratio = torch.where(whole == 0, 0.0, inner.activation(whole) / whole)
    return _linear(inner.down, up * ratio[:, None])


def _norm(norm: nn.Module, parts: Tensor) -> Tensor:
    if isinstance(norm, nn.Identity):
        return parts
    whole = parts.sum(1)
    if isinstance(norm, nn.LayerNorm):
        scale = 1 / (whole.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
        made = (parts - parts.mean(-1, keepdim=True)) * scale[:, None] * norm.weight
        return made if norm.bias is None else _plus(made, norm.bias.expand_as(whole))
    assert isinstance(norm, nn.RMSNorm)
    epsilon = torch.finfo(whole.dtype).eps if norm.eps is None else norm.eps
    weight = norm.weight + 1 if isinstance(norm, UnitOffsetRMSNorm) else norm.weight
    return parts / ((whole**2).mean(-1, keepdim=True) + epsilon).sqrt()[:, None] * weight


def _linear(linear: nn.Module, parts: Tensor) -> Tensor:
    if isinstance(linear, nn.Identity):
        return parts
    assert isinstance(linear, nn.Linear)
    made = parts @ linear.weight.T
    return made if linear.bias is None else _plus(made, linear.bias.expand_as(made[:, 0]))


def _plus(parts: Tensor, constant: Tensor) -> Tensor:
    """The rest gets what is of no token."""
    return torch.cat([parts[:, :-1], parts[:, -1:] + (constant if constant.dim() == 3 else constant[None])[:, None]], 1)
