"""Specs of positions into modules; part of ``heedful.model.build``."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from heedful.model.spec import (
    AlibiSpec,
    DisentangledSpec,
    LearnedSpec,
    LinearScalingSpec,
    Llama3ScalingSpec,
    NormSpec,
    RelativeBiasSpec,
    RotarySpec,
    SinusoidalSpec,
    StackSpec,
    YarnScalingSpec,
)
from heedful.nn import (
    AlibiBias,
    LearnedPositions,
    LinearScaling,
    Llama3Scaling,
    RelativeBias,
    RelativeEmbeddings,
    RotaryPositions,
    RotaryScaling,
    SinusoidalPositions,
    YarnScaling,
)


def absolute_positions(
    spec: SinusoidalSpec | LearnedSpec | None, width: int
) -> SinusoidalPositions | LearnedPositions | None:
    """What is added to token vectors of ``width``."""
    match spec:
        case LearnedSpec():
            return LearnedPositions(spec.max_positions, width, offset=spec.offset)
        case SinusoidalSpec():
            return SinusoidalPositions(width, **spec.model_dump(exclude={"kind"}))
    return None


def layer_positions(
    spec: StackSpec, d_model: int, build_norm: Callable[[NormSpec, int], nn.Module]
) -> list[RotaryPositions | RelativeEmbeddings | None]:
    """What each layer's self-attention is told about positions; layers of the same kind share a module."""
    modules: dict[tuple[RotarySpec | DisentangledSpec, int | None], RotaryPositions | RelativeEmbeddings] = {}
    chosen: list[RotaryPositions | RelativeEmbeddings | None] = []
    for layer in spec.layers:
        attention = layer.self_attention
        positions = attention and (attention.rotary or spec.positions)
        if attention is None or not isinstance(positions, RotarySpec | DisentangledSpec):
            chosen.append(None)
            continue
        key = (positions, attention.head_dim if isinstance(positions, RotarySpec) else None)
        if key not in modules:
            modules[key] = (
                _rotary(positions, attention.head_dim)
                if isinstance(positions, RotarySpec)
                else _relative_embeddings(positions, d_model, build_norm)
            )
        chosen.append(modules[key])
    return chosen


def relative_bias(spec: StackSpec, *, bidirectional: bool) -> RelativeBias | AlibiBias | None:
    """What is added to the scores of every self-attention of a stack."""
    heads = next((layer.self_attention.num_heads for layer in spec.layers if layer.self_attention is not None), None)
    match spec.positions:
        case RelativeBiasSpec(num_buckets=num_buckets, max_distance=max_distance) if heads:
            return RelativeBias(heads, num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional)
        case AlibiSpec() if heads:
            return AlibiBias(heads)
    return None


def _rotary(spec: RotarySpec, head_dim: int) -> RotaryPositions:
    return RotaryPositions(
        spec.width or head_dim,
        base=spec.base,
        scaling=_scaling(spec),
        max_positions=spec.max_positions,
    )


def _scaling(spec: RotarySpec) -> RotaryScaling | None:
    options = {} if spec.scaling is None else spec.scaling.model_dump(exclude={"kind"})
    match spec.scaling:
        case LinearScalingSpec():
            return LinearScaling(**options)
        case YarnScalingSpec():
            return YarnScaling(base=spec.base, **options)
        case Llama3ScalingSpec():
            return Llama3Scaling(**options)
    return None


def _relative_embeddings(
    spec: DisentangledSpec, d_model: int, build_norm: Callable[[NormSpec, int], nn.Module]
) -> RelativeEmbeddings:
    return RelativeEmbeddings(
        d_model,
        max_distance=spec.max_distance,
        num_buckets=spec.num_buckets,
        norm=None if spec.norm is None else build_norm(spec.norm, d_model),
    )
