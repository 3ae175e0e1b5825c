"""Specs into modules: the only place that knows both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from heedful.model.heads import ClassificationHead
from heedful.model.positions import absolute_positions, layer_positions, relative_bias
from heedful.model.spec import (
    AttentionSpec,
    ClassificationHeadSpec,
    DisentangledSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    NormKind,
    NormPlacement,
    NormSpec,
    OutputSpec,
    RelativePositions,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)
from heedful.model.transformer import Transformer
from heedful.nn import (
    ACTIVATIONS,
    AttentionKernel,
    CrossAttention,
    DisentangledAttention,
    Embeddings,
    FeedForward,
    LanguageModelHead,
    Layer,
    OutputTransform,
    Pointer,
    Residual,
    SelfAttention,
    SoftCappedKernel,
    Stack,
    UnitOffsetRMSNorm,
)


def build(spec: TransformerSpec, *, seed: int | None = None) -> Transformer:
    """Make a Transformer with fresh weights, in float32 on the CPU.

    Linear maps are Xavier-uniform (Glorot and Bengio 2010) with zero biases; embeddings, learned positions
    and relative biases normal with variance 1 / d_model, so that scaled token vectors have unit variance;
    norms the identity.

    Args:
        seed: the same seed gives the same weights and leaves the global random state as it was.
    """
    width = spec.embedding_width or spec.d_model
    with _seeded(seed):
        model = Transformer(
            spec,
            token_embedding=nn.Embedding(spec.vocabulary_size, width),
            target_embedding=nn.Embedding(spec.written_size, width) if spec.target_vocabulary_size else None,
            encoder=None if spec.encoder is None else _stack(spec.encoder, spec, causal=False),
            decoder=None if spec.decoder is None else _stack(spec.decoder, spec, causal=True),
            output=None if spec.output is None else _output(spec.output, spec),
            pointer=None if spec.pointer is None else Pointer(spec.d_model, spec.pointer.head_dim or spec.d_model),
        )
        initialise(model, spec.d_model)
    return model


def build_head(spec: ClassificationHeadSpec, d_model: int, *, seed: int | None = None) -> ClassificationHead:
    """Make a classification head with fresh weights; see ``build``."""
    with _seeded(seed):
        head = ClassificationHead(
            d_model,
            spec.num_labels,
            pooling=spec.pooling,
            dense_activation=ACTIVATIONS[spec.activation]() if spec.dense else None,
            dense_bias=spec.dense_bias,
            norm=None if spec.norm is None else build_norm(spec.norm, d_model),
            bias=spec.bias,
            dropout=spec.dropout,
        )
        initialise(head, d_model)
    return head


@torch.no_grad()
def initialise(module: nn.Module, d_model: int) -> None:
    """Give all weights under ``module`` fresh values, as ``build`` describes."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=d_model**-0.5)
        elif isinstance(part, nn.LayerNorm | nn.RMSNorm):
            part.reset_parameters()
        elif isinstance(part, LanguageModelHead):
            if part.weight is not None:
                nn.init.normal_(part.weight, std=d_model**-0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def build_norm(spec: NormSpec, width: int) -> nn.Module:
    """A norm over the last dimension, of size ``width``."""
    if spec.kind is NormKind.RMS:
        return (UnitOffsetRMSNorm if spec.unit_offset else nn.RMSNorm)(width, eps=spec.epsilon)
    return nn.LayerNorm(width, eps=spec.epsilon, bias=spec.bias)


def _stack(spec: StackSpec, model: TransformerSpec, *, causal: bool) -> Stack:
    return Stack(
        embeddings=_embeddings(spec.embeddings, model),
        layers=[_layer(layer, model.d_model, spec.positions) for layer in spec.layers],
        norm=None if spec.norm is None else build_norm(spec.norm, model.d_model),
        positions=layer_positions(spec, model.d_model, build_norm),
        relative_bias=relative_bias(spec, bidirectional=not causal),
        causal=causal,
        order=spec.order,
    )


def _embeddings(spec: EmbeddingSpec, model: TransformerSpec) -> Embeddings:
    width = model.embedding_width or model.d_model
    return Embeddings(
        model.d_model,
        scaled=spec.scaled,
        positions=absolute_positions(spec.positions, width),
        num_token_types=spec.num_token_types,
        norm=None if spec.norm is None else build_norm(spec.norm, width),
        dropout=spec.dropout,
        width=model.embedding_width,
    )


def _output(spec: OutputSpec, model: TransformerSpec) -> LanguageModelHead:
    width = model.embedding_width or model.d_model
    transform = None
    if spec.transform is not None:
        transform = OutputTransform(
            model.d_model,
            width,
            activation=ACTIVATIONS[spec.transform.activation](),
            norm=build_norm(spec.transform.norm, width),
            bias=spec.transform.bias,
        )
    return LanguageModelHead(
        width,
        model.written_size,
        tied=spec.tied,
        bias=spec.bias,
        transform=transform,
        scale=model.d_model**-0.5 if spec.scaled else 1.0,
        soft_cap=spec.soft_cap,
    )


def _layer(spec: LayerSpec, d_model: int, positions: RelativePositions | None) -> Layer:
    def residual(slot: str) -> Residual:
        placement = NormPlacement.NONE if slot in spec.without_norm else spec.norm_placement
        norm = partial(build_norm, spec.norm, d_model)
        return Residual(norm, norm_placement=placement, dropout=spec.dropout)

    itself, across, inner = spec.self_attention, spec.cross_attention, spec.feed_forward
    return Layer(
        self_attention=None if itself is None else _self_attention(itself, d_model, positions),
        cross_attention=None if across is None else CrossAttention(d_model, **_attention_options(across)),
        feed_forward=None if inner is None else _feed_forward(inner, d_model),
        residual=residual,
        window=None if itself is None else itself.window,
        parallel=spec.parallel,
    )


def _self_attention(spec: SelfAttentionSpec, d_model: int, positions: RelativePositions | None) -> SelfAttention:
    options = _attention_options(spec)
    if not isinstance(positions, DisentangledSpec):
        return SelfAttention(d_model, **options)
    if spec.scale is None:
        parts = 1 + positions.content_to_position + positions.position_to_content
        options["kernel"] = AttentionKernel(scale=(parts * spec.head_dim) ** -0.5, dropout=spec.dropout)
    return DisentangledAttention(
        d_model,
        content_to_position=positions.content_to_position,
        position_to_content=positions.position_to_content,
        shared_projections=positions.shared_projections,
        **options,
    )


def _attention_options(spec: AttentionSpec) -> dict[str, Any]:
    kernel = (
        AttentionKernel(scale=spec.scale, dropout=spec.dropout)
        if spec.soft_cap is None
        else SoftCappedKernel(soft_cap=spec.soft_cap, scale=spec.scale, dropout=spec.dropout)
    )
    return {
        "num_heads": spec.num_heads,
        "num_kv_heads": spec.num_kv_heads,
        "head_dim": spec.head_dim,
        "bias": spec.bias,
        "output_bias": spec.output_bias,
        "kernel": kernel,
        "query_key_norm": spec.query_key_norm and partial(build_norm, spec.query_key_norm),
    }


def _feed_forward(spec: FeedForwardSpec, d_model: int) -> FeedForward:
    return FeedForward(
        d_model,
        spec.d_ff,
        activation=ACTIVATIONS[spec.activation](),
        gated=spec.gated,
        bias=spec.bias,
        dropout=spec.dropout,
    )
