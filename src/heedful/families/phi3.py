"""Phi-3 (Abdin et al. 2024a) and Phi-4 (2024b): LLaMA whose projections are fused."""

from __future__ import annotations

from heedful.checkpoint.rules import Rules, Split
from heedful.families.config import ConfigReader
from heedful.families.decoder import decoder_family
from heedful.families.llama import (
    COMMON_RULES,
    PRE_NORM_RULES,
    Defaults,
    alike,
    read_attention,
    read_decoder,
    read_feed_forward,
    read_norm,
)
from heedful.families.rotary import REFUSED_OPTIONS, RotaryKeys, read_rotary
from heedful.model import LayerSpec, TransformerSpec

DEFAULTS = Defaults(vocab_size=32064, hidden_size=3072, intermediate_size=8192)


def _spec(config: ConfigReader) -> TransformerSpec:
    config.require("attention_bias", False, reason="the family has no biases")
    itself = read_attention(config, DEFAULTS, bias=False, window=config.optional_integer("sliding_window"))
    layer = LayerSpec(
        self_attention=itself,
        feed_forward=read_feed_forward(config, DEFAULTS),
        norm=read_norm(config, epsilon=1e-5),
        dropout=config.probability("resid_pdrop"),
    )
    keys = RotaryKeys(fraction="partial_rotary_factor")
    positions = read_rotary(config, head_dim=itself.head_dim, max_positions=4096, keys=keys)
    return read_decoder(config, DEFAULTS, alike(config, DEFAULTS, layer), positions=positions)


def _rules(spec: TransformerSpec) -> Rules:
    assert spec.decoder is not None, "a decoder"
    itself = spec.decoder.layers[0].self_attention
    assert itself is not None, "a layer of the family"
    groups = itself.num_kv_heads or itself.num_heads
    return (
        *COMMON_RULES,
        *PRE_NORM_RULES,
        Split(
            "layers.{}.self_attn.qkv_proj.weight",
            tuple(f"decoder.layers.{{}}.self_attention.{name}.weight" for name in ("query", "key", "value")),
            ratio=(itself.num_heads, groups, groups),
        ),
        Split(
            "layers.{}.mlp.gate_up_proj.weight",
            tuple(f"decoder.layers.{{}}.feed_forward.{name}.weight" for name in ("gate", "up")),
        ),
    )


PHI3 = decoder_family(
    "phi3",
    ("Phi3Model", "Phi3ForCausalLM", "Phi3ForSequenceClassification"),
    _spec,
    rules=_rules,
    ignored={
        "embd_pdrop": "upstream drops no token vectors",
        "original_max_position_embeddings": "read with longrope only, which is refused",
    },
    refused=(*REFUSED_OPTIONS, "attention_bias"),
)
