"""Parts of a Transformer: plain modules over tensors, with plain keyword arguments.

Shapes are written with B batch, S source length, T target length, D model width, H heads, K head width,
F inner width and V vocabulary. Masks are boolean and True at real tokens.
"""

from heedful.nn.attention import AttentionKernel, CrossAttention, SelfAttention, SoftCappedKernel
from heedful.nn.cache import Blocks, KeyValueCache, LayerCache
from heedful.nn.disentangled import DisentangledAttention
from heedful.nn.embeddings import Embeddings, LanguageModelHead, OutputTransform, SoftCap
from heedful.nn.feedforward import ACTIVATIONS, FeedForward
from heedful.nn.layer import Layer, Residual
from heedful.nn.lora import LoraLinear, lora_layers
from heedful.nn.masks import AttentionMask, padding_mask, self_attention_mask
from heedful.nn.norms import UnitOffsetRMSNorm
from heedful.nn.pointer import Copies, CopySource, Pointer, mixture
from heedful.nn.positions import (
    AlibiBias,
    LearnedPositions,
    RelativeBias,
    RelativeEmbeddings,
    RelativeVectors,
    SinusoidalPositions,
    token_positions,
)
from heedful.nn.rotary import (
    LinearScaling,
    Llama3Scaling,
    RotaryPositions,
    RotaryScaling,
    Rotation,
    YarnScaling,
)
from heedful.nn.shortlist import Shortlist
from heedful.nn.stack import Stack

__all__ = [
    "ACTIVATIONS",
    "AlibiBias",
    "AttentionKernel",
    "AttentionMask",
    "Blocks",
    "Copies",
    "CopySource",
    "CrossAttention",
    "DisentangledAttention",
    "Embeddings",
    "FeedForward",
    "KeyValueCache",
    "LanguageModelHead",
    "Layer",
    "LayerCache",
    "LearnedPositions",
    "LinearScaling",
    "Llama3Scaling",
    "LoraLinear",
    "OutputTransform",
    "Pointer",
    "RelativeBias",
    "RelativeEmbeddings",
    "RelativeVectors",
    "Residual",
    "RotaryPositions",
    "RotaryScaling",
    "Rotation",
    "SelfAttention",
    "Shortlist",
    "SinusoidalPositions",
    "SoftCap",
    "SoftCappedKernel",
    "Stack",
    "UnitOffsetRMSNorm",
    "YarnScaling",
    "lora_layers",
    "mixture",
    "padding_mask",
    "self_attention_mask",
    "token_positions",
]
