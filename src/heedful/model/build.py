"""Specs into modules: the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import nn

from heedful.model.heads import ClassificationHead
from heedful.model.spec import (
    AlibiSpec,
    AttentionSpec,
    ClassificationHeadSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    NormKind,
    NormSpec,
    RelativeBiasSpec,
    RotarySpec,
    SinusoidalSpec,
    StackSpec,
    TransformerSpec,
)
from heedful.model.transformer import Transformer
from heedful.nn import (
    ACTIVATIONS,
    AlibiBias,
    CrossAttention,
    Embeddings,
    FeedForward,
    LanguageModelHead,
    Layer,
    LearnedPositions,
    RelativeBias,
    Residual,
    RotaryPositions,
    SelfAttention,
    SinusoidalPositions,
    Stack,
)
from heedful.nn.attention import Attention

A = TypeVar("A", bound=Attention)


def build(spec: TransformerSpec, *, seed: int | None = None) -> Transformer:
    """Make a Transformer with fresh weights, in float32 on the CPU.

    Linear maps are Xavier-uniform (Glorot and Bengio 2010) with zero biases; embeddings, learned positions
    and relative biases normal with variance 1 / d_model, so that scaled token vectors have unit variance;
    norms the identity.

    Args:
        seed: the same seed gives the same weights and leaves the global random state as it was.
    """
    with _seeded(seed):
        model = Transformer(
            spec,
            token_embedding=nn.Embedding(spec.vocabulary_size, spec.d_model),
            encoder=None if spec.encoder is None else _stack(spec.encoder, spec.d_model, causal=False),
            decoder=None if spec.decoder is None else _stack(spec.decoder, spec.d_model, causal=True),
            output=None
            if spec.output is None
            else LanguageModelHead(spec.d_model, spec.vocabulary_size, tied=spec.output.tied, bias=spec.output.bias),
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


def _norm(spec: NormSpec, d_model: int) -> nn.Module:
    if spec.kind is NormKind.RMS:
        return nn.RMSNorm(d_model, eps=spec.epsilon)
    return nn.LayerNorm(d_model, eps=spec.epsilon)


def _stack(spec: StackSpec, d_model: int, *, causal: bool) -> Stack:
    attentions = [layer.self_attention for layer in spec.layers if layer.self_attention is not None]
    rotary: RotaryPositions | None = None
    relative_bias: RelativeBias | AlibiBias | None = None
    if attentions:
        num_heads, head_dim = attentions[0].num_heads, attentions[0].head_dim
        match spec.positions:
            case RotarySpec(base=base):
                rotary = RotaryPositions(head_dim, base=base)
            case RelativeBiasSpec(num_buckets=num_buckets, max_distance=max_distance):
                relative_bias = RelativeBias(
                    num_heads, num_buckets=num_buckets, max_distance=max_distance, bidirectional=not causal
                )
            case AlibiSpec():
                relative_bias = AlibiBias(num_heads)
    return Stack(
        embeddings=_embeddings(spec.embeddings, d_model),
        layers=[_layer(layer, d_model) for layer in spec.layers],
        norm=None if spec.norm is None else _norm(spec.norm, d_model),
        rotary=rotary,
        relative_bias=relative_bias,
        causal=causal,
    )


def _embeddings(spec: EmbeddingSpec, d_model: int) -> Embeddings:
    positions: SinusoidalPositions | LearnedPositions | None = None
    match spec.positions:
        case SinusoidalSpec():
            positions = SinusoidalPositions(d_model)
        case LearnedSpec(max_positions=max_positions):
            positions = LearnedPositions(max_positions, d_model)
    return Embeddings(
        d_model,
        scaled=spec.scaled,
        positions=positions,
        num_token_types=spec.num_token_types,
        dropout=spec.dropout,
    )


def _layer(spec: LayerSpec, d_model: int) -> Layer:
    norm: Callable[[], nn.Module] = partial(_norm, spec.norm, d_model)
    return Layer(
        self_attention=_attention(SelfAttention, spec.self_attention, d_model),
        cross_attention=_attention(CrossAttention, spec.cross_attention, d_model),
        feed_forward=_feed_forward(spec.feed_forward, d_model),
        residual=partial(Residual, norm, norm_placement=spec.norm_placement, dropout=spec.dropout),
        window=None if spec.self_attention is None else spec.self_attention.window,
        parallel=spec.parallel,
    )


def _attention(kind: type[A], spec: AttentionSpec | None, d_model: int) -> A | None:
    if spec is None:
        return None
    return kind(
        d_model,
        spec.num_heads,
        num_kv_heads=spec.num_kv_heads,
        head_dim=spec.head_dim,
        bias=spec.bias,
        dropout=spec.dropout,
    )


def _feed_forward(spec: FeedForwardSpec | None, d_model: int) -> FeedForward | None:
    if spec is None:
        return None
    return FeedForward(d_model, spec.d_ff, activation=ACTIVATIONS[spec.activation](), gated=spec.gated, bias=spec.bias)
