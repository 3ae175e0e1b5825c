"""Specs, and the Transformer and heads that are built from them."""

from heedful.model.build import build, build_head
from heedful.model.heads import ClassificationHead
from heedful.model.presets import PRESETS
from heedful.model.spec import (
    Activation,
    AlibiSpec,
    AttentionSpec,
    ClassificationHeadSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    NormKind,
    NormPlacement,
    NormSpec,
    OutputSpec,
    Pooling,
    RelativeBiasSpec,
    RotarySpec,
    SelfAttentionSpec,
    SinusoidalSpec,
    StackSpec,
    TransformerSpec,
    parse_spec,
)
from heedful.model.transformer import Transformer
from heedful.model.uniform import PositionKind, UniformSpec

__all__ = [
    "PRESETS",
    "Activation",
    "AlibiSpec",
    "AttentionSpec",
    "ClassificationHead",
    "ClassificationHeadSpec",
    "EmbeddingSpec",
    "FeedForwardSpec",
    "LayerSpec",
    "LearnedSpec",
    "NormKind",
    "NormPlacement",
    "NormSpec",
    "OutputSpec",
    "Pooling",
    "PositionKind",
    "RelativeBiasSpec",
    "RotarySpec",
    "SelfAttentionSpec",
    "SinusoidalSpec",
    "StackSpec",
    "Transformer",
    "TransformerSpec",
    "UniformSpec",
    "build",
    "build_head",
    "parse_spec",
]
