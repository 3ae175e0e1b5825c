"""Parts of a Transformer: plain modules over tensors, with plain keyword arguments.

Shapes are written with B batch, S source length, T target length, D model width, H heads, K head width,
F inner width and V vocabulary. Masks are boolean and True at real tokens.
"""

from heedful.nn.attention import AttentionKernel, CrossAttention, SelfAttention
from heedful.nn.cache import KeyValueCache, LayerCache
from heedful.nn.embeddings import Embeddings, LanguageModelHead
from heedful.nn.feedforward import ACTIVATIONS, FeedForward
from heedful.nn.layer import Layer, Residual
from heedful.nn.masks import AttentionMask, padding_mask, self_attention_mask
from heedful.nn.positions import (
    AlibiBias,
    LearnedPositions,
    RelativeBias,
    RotaryPositions,
    Rotation,
    SinusoidalPositions,
    token_positions,
)
from heedful.nn.stack import Stack

__all__ = [
    "ACTIVATIONS",
    "AlibiBias",
    "AttentionKernel",
    "AttentionMask",
    "CrossAttention",
    "Embeddings",
    "FeedForward",
    "KeyValueCache",
    "LanguageModelHead",
    "Layer",
    "LayerCache",
    "LearnedPositions",
    "RelativeBias",
    "Residual",
    "RotaryPositions",
    "Rotation",
    "SelfAttention",
    "SinusoidalPositions",
    "Stack",
    "padding_mask",
    "self_attention_mask",
    "token_positions",
]
