"""Gemma (Gemma Team 2024a), Gemma 2 (2024b) and the text models of Gemma 3 (2025)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

from heedful.checkpoint.rules import Rule, Rules
from heedful.families.config import ACTIVATIONS, GENERATION, ConfigReader
from heedful.families.decoder import decoder_family, tied_output
from heedful.families.family import always
from heedful.families.llama import (
    ATTENTION_RULES,
    COMMON_RULES,
    GATE_RULES,
    HEAD_NORM_RULES,
    RULES,
    Defaults,
    alike,
    of_types,
    read_attention,
    read_decoder,
    read_feed_forward,
    read_norm,
)
from heedful.families.rotary import REFUSED_OPTIONS, RotaryKeys, read_rotary
from heedful.model import (
    Activation,
    LayerSpec,
    NormPlacement,
    OutputSpec,
    RotarySpec,
    SelfAttentionSpec,
    TransformerSpec,
)

GEMMA_DEFAULTS = Defaults(
    vocab_size=256_000,
    hidden_size=3072,
    intermediate_size=24576,
    num_hidden_layers=28,
    num_attention_heads=16,
    num_key_value_heads=16,
    head_dim=256,
)
GEMMA2_DEFAULTS = Defaults(
    vocab_size=256_000,
    hidden_size=2304,
    intermediate_size=9216,
    num_hidden_layers=26,
    num_attention_heads=8,
    num_key_value_heads=4,
    head_dim=256,
)
GEMMA3_DEFAULTS = replace(GEMMA2_DEFAULTS, vocab_size=262_208)
TANH = "gelu_pytorch_tanh"
FULL, SLIDING = "full_attention", "sliding_attention"
SANDWICH_RULES: Rules = (
    Rule("layers.{}.post_attention_layernorm.weight", "decoder.layers.{}.self_attention_residual.norm_after.weight"),
    Rule("layers.{}.pre_feedforward_layernorm.weight", "decoder.layers.{}.feed_forward_residual.norm_before.weight"),
    Rule("layers.{}.post_feedforward_layernorm.weight", "decoder.layers.{}.feed_forward_residual.norm_after.weight"),
)


def _attention(config: ConfigReader, defaults: Defaults, **options: Any) -> SelfAttentionSpec:
    """What all three share; ``options`` are more fields of the spec."""
    both_ways = "use_bidirectional_attention"
    config.require(both_ways, config.data.get(both_ways) and False, reason="a decoder's tokens see what precedes them")
    return read_attention(config, defaults, bias=config.flag("attention_bias", False), **options)


def _scale(config: ConfigReader) -> float:
    return 1 / math.sqrt(config.number("query_pre_attn_scalar", 256, low=1e-6))


def _sandwich(config: ConfigReader, defaults: Defaults, itself: SelfAttentionSpec) -> LayerSpec:
    return LayerSpec(
        self_attention=itself,
        feed_forward=read_feed_forward(config, defaults, activation=config.activation("hidden_activation", TANH)),
        norm=read_norm(config, unit_offset=True),
        norm_placement=NormPlacement.SANDWICH,
    )


def _alternate(
    config: ConfigReader, defaults: Defaults, layer: LayerSpec, *, every: int, **rotary: RotarySpec | None
) -> tuple[LayerSpec, ...]:
    """All layers but each last of ``every`` see a window; ``rotary`` is of layers of a type."""
    window = config.optional_integer("sliding_window", 4096)
    kinds: dict[str, dict[str, object]] = {FULL: {"rotary": rotary.get(FULL)}}
    if window is not None:
        kinds[SLIDING] = {"rotary": rotary.get(SLIDING), "window": window}
    count = config.layers("num_hidden_layers", defaults.num_hidden_layers)
    return of_types(config, layer, kinds, [SLIDING if number % every else FULL for number in range(1, count + 1)])


def _gemma(config: ConfigReader) -> TransformerSpec:
    said = config.data.get("hidden_activation")
    config.require("hidden_activation", said and TANH, reason="no checkpoint of the family was trained with it")
    # The first checkpoints say gelu, and were trained with its approximation.
    activation = config.choice("hidden_act", {**ACTIVATIONS, "gelu": Activation.GELU_TANH}, TANH)
    itself = _attention(config, GEMMA_DEFAULTS)
    layer = LayerSpec(
        self_attention=itself,
        feed_forward=read_feed_forward(config, GEMMA_DEFAULTS, activation=activation),
        norm=read_norm(config, unit_offset=True),
    )
    positions = read_rotary(config, head_dim=itself.head_dim, max_positions=8192)
    return read_decoder(config, GEMMA_DEFAULTS, alike(config, GEMMA_DEFAULTS, layer), positions=positions, scaled=True)


def _gemma2(config: ConfigReader) -> TransformerSpec:
    soft_cap = config.optional_number("attn_logit_softcapping", 50.0)
    itself = _attention(config, GEMMA2_DEFAULTS, scale=_scale(config), soft_cap=soft_cap)
    layers = _alternate(config, GEMMA2_DEFAULTS, _sandwich(config, GEMMA2_DEFAULTS, itself), every=2)
    positions = read_rotary(config, head_dim=itself.head_dim, max_positions=8192)
    return read_decoder(config, GEMMA2_DEFAULTS, layers, positions=positions, scaled=True)


def _gemma3(config: ConfigReader) -> TransformerSpec:
    config.require("attn_logit_softcapping", None, reason="upstream reads it and does not heed it")
    norm = read_norm(config, unit_offset=True)
    itself = _attention(config, GEMMA3_DEFAULTS, scale=_scale(config), query_key_norm=norm)
    near = RotaryKeys(theta="rope_local_base_freq", scaling=None)
    positions = partial(read_rotary, config, head_dim=itself.head_dim, max_positions=131_072)
    layers = _alternate(
        config,
        GEMMA3_DEFAULTS,
        _sandwich(config, GEMMA3_DEFAULTS, itself),
        every=config.integer("sliding_window_pattern", 6),
        full_attention=positions(base=1e6, layer_type=FULL),
        sliding_attention=positions(keys=near, layer_type=SLIDING),
    )
    return read_decoder(config, GEMMA3_DEFAULTS, layers, positions=None, scaled=True)


def _capped_output(config: ConfigReader, default: float | None) -> OutputSpec:
    soft_cap = config.optional_number("final_logit_softcapping", default)
    return tied_output(config).model_copy(update={"soft_cap": soft_cap})


OPTIONS = (*REFUSED_OPTIONS, "use_bidirectional_attention")
IGNORED = {
    "cache_implementation": GENERATION,
    "hidden_act": "upstream reads hidden_activation",
    "sliding_window_size": "upstream reads sliding_window",
}

GEMMA = decoder_family(
    "gemma",
    ("GemmaModel", "GemmaForCausalLM", "GemmaForSequenceClassification"),
    _gemma,
    rules=always(*RULES),
    output=tied_output,
    refused=OPTIONS,
)
GEMMA2 = decoder_family(
    "gemma2",
    ("Gemma2Model", "Gemma2ForCausalLM", "Gemma2ForSequenceClassification"),
    _gemma2,
    rules=always(*COMMON_RULES, *ATTENTION_RULES, *GATE_RULES, *SANDWICH_RULES),
    output=partial(_capped_output, default=30.0),
    ignored=IGNORED,
    refused=OPTIONS,
)
GEMMA3 = decoder_family(
    "gemma3_text",
    ("Gemma3TextModel", "Gemma3ForCausalLM", "Gemma3TextForSequenceClassification"),
    _gemma3,
    rules=always(*COMMON_RULES, *ATTENTION_RULES, *GATE_RULES, *SANDWICH_RULES, *HEAD_NORM_RULES),
    output=partial(_capped_output, default=None),
    ignored={**IGNORED, "_sliding_window_pattern": "upstream reads layer_types"},
    refused=(*OPTIONS, "attn_logit_softcapping"),
)
