"""Qwen2 and Qwen2.5 (Yang et al. 2024), Qwen3 (Yang et al. 2025): some layers may see a window of the text only."""

from __future__ import annotations

from typing import Any

from heedful.families.config import ConfigReader
from heedful.families.decoder import decoder_family
from heedful.families.family import always
from heedful.families.llama import (
    HEAD_NORM_RULES,
    RULES,
    Defaults,
    of_types,
    read_attention,
    read_decoder,
    read_feed_forward,
    read_norm,
)
from heedful.families.rotary import REFUSED_OPTIONS, read_rotary
from heedful.model import LayerSpec, TransformerSpec

QWEN2_DEFAULTS = Defaults(vocab_size=151_936, intermediate_size=22016, num_key_value_heads=32)
QWEN3_DEFAULTS = Defaults(vocab_size=151_936, intermediate_size=22016, num_key_value_heads=32, head_dim=128)


def _read(config: ConfigReader, defaults: Defaults, **options: Any) -> TransformerSpec:
    itself = read_attention(config, defaults, **options)
    layer = LayerSpec(self_attention=itself, feed_forward=read_feed_forward(config, defaults), norm=read_norm(config))
    count = config.layers("num_hidden_layers", defaults.num_hidden_layers)
    # Both are read even where windows are off, as most checkpoints have them.
    window, first = config.optional_integer("sliding_window", 4096), config.integer("max_window_layers", 28, low=0)
    kinds: dict[str, dict[str, int]] = {"full_attention": {}}
    if config.flag("use_sliding_window", False) and window is not None:
        kinds["sliding_attention"] = {"window": window}
    last = list(kinds)[-1]
    default = ["full_attention" if number < first else last for number in range(count)]
    return read_decoder(
        config,
        defaults,
        of_types(config, layer, kinds, default),
        positions=read_rotary(config, head_dim=itself.head_dim, max_positions=32768),
    )


def _qwen2(config: ConfigReader) -> TransformerSpec:
    config.require("use_mrope", False, reason="positions of pictures are not supported")
    return _read(config, QWEN2_DEFAULTS, bias=True, output_bias=False)


def _qwen3(config: ConfigReader) -> TransformerSpec:
    return _read(config, QWEN3_DEFAULTS, bias=config.flag("attention_bias", False), query_key_norm=read_norm(config))


QWEN2 = decoder_family(
    "qwen2",
    ("Qwen2Model", "Qwen2ForCausalLM", "Qwen2ForSequenceClassification"),
    _qwen2,
    rules=always(*RULES),
    refused=(*REFUSED_OPTIONS, "use_mrope"),
)
QWEN3 = decoder_family(
    "qwen3",
    ("Qwen3Model", "Qwen3ForCausalLM", "Qwen3ForSequenceClassification"),
    _qwen3,
    rules=always(*RULES, *HEAD_NORM_RULES),
    refused=REFUSED_OPTIONS,
)
