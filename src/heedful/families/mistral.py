"""Mistral (Jiang et al. 2023): LLaMA whose tokens see a window of the text."""

from __future__ import annotations

from heedful.families.config import ConfigReader
from heedful.families.decoder import decoder_family
from heedful.families.family import always
from heedful.families.llama import (
    RULES,
    Defaults,
    alike,
    read_attention,
    read_decoder,
    read_feed_forward,
    read_norm,
)
from heedful.families.rotary import REFUSED_OPTIONS, read_rotary
from heedful.model import LayerSpec, TransformerSpec

DEFAULTS = Defaults(intermediate_size=14336, num_key_value_heads=8)


def _spec(config: ConfigReader) -> TransformerSpec:
    itself = read_attention(config, DEFAULTS, bias=False, window=config.optional_integer("sliding_window", 4096))
    layer = LayerSpec(self_attention=itself, feed_forward=read_feed_forward(config, DEFAULTS), norm=read_norm(config))
    positions = read_rotary(config, head_dim=itself.head_dim, max_positions=131_072)
    return read_decoder(config, DEFAULTS, alike(config, DEFAULTS, layer), positions=positions)


MISTRAL = decoder_family(
    "mistral",
    ("MistralModel", "MistralForCausalLM", "MistralForSequenceClassification"),
    _spec,
    rules=always(*RULES),
    refused=REFUSED_OPTIONS,
)
