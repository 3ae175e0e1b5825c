"""LLaMA (Touvron et al. 2023), 1 to 3, and what the families that descend from it share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.config import ConfigReader
from heedful.families.decoder import decoder_family
from heedful.families.family import always
from heedful.families.rotary import REFUSED_OPTIONS, read_rotary
from heedful.model import (
    Activation,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    NormKind,
    NormSpec,
    RotarySpec,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)


@dataclass(frozen=True)
class Defaults:
    """What a config means that leaves these keys out."""

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None


DEFAULTS = Defaults()
ATTENTION_RULES: Rules = (
    Rule("layers.{}.self_attn.q_proj.*", "decoder.layers.{}.self_attention.query.*"),
    Rule("layers.{}.self_attn.k_proj.*", "decoder.layers.{}.self_attention.key.*"),
    Rule("layers.{}.self_attn.v_proj.*", "decoder.layers.{}.self_attention.value.*"),
)
GATE_RULES: Rules = (
    Rule("layers.{}.mlp.gate_proj.*", "decoder.layers.{}.feed_forward.gate.*"),
    Rule("layers.{}.mlp.up_proj.*", "decoder.layers.{}.feed_forward.up.*"),
)
COMMON_RULES: Rules = (
    Rule("embed_tokens.weight", "token_embedding.weight"),
    Rule("layers.{}.self_attn.o_proj.*", "decoder.layers.{}.self_attention.output.*"),
    Rule("layers.{}.mlp.down_proj.*", "decoder.layers.{}.feed_forward.down.*"),
    Rule("layers.{}.input_layernorm.weight", "decoder.layers.{}.self_attention_residual.norm_before.weight"),
    Rule("norm.weight", "decoder.norm.weight"),
    Drop("layers.{}.self_attn.rotary_emb.inv_freq", "computed from the config"),
)
PRE_NORM_RULES: Rules = (
    Rule("layers.{}.post_attention_layernorm.weight", "decoder.layers.{}.feed_forward_residual.norm_before.weight"),
)
HEAD_NORM_RULES: Rules = (
    Rule("layers.{}.self_attn.q_norm.weight", "decoder.layers.{}.self_attention.query_norm.weight"),
    Rule("layers.{}.self_attn.k_norm.weight", "decoder.layers.{}.self_attention.key_norm.weight"),
)
RULES: Rules = (*COMMON_RULES, *ATTENTION_RULES, *GATE_RULES, *PRE_NORM_RULES)


def read_attention(config: ConfigReader, defaults: Defaults, **options: Any) -> SelfAttentionSpec:
    """Grouped-query attention; ``options`` are more fields of its spec."""
    num_heads = config.integer("num_attention_heads", defaults.num_attention_heads)
    whole = max(config.integer("hidden_size", defaults.hidden_size) // num_heads, 1)
    return SelfAttentionSpec(
        num_heads=num_heads,
        head_dim=config.optional_integer("head_dim", defaults.head_dim) or whole,
        num_kv_heads=config.optional_integer("num_key_value_heads", defaults.num_key_value_heads) or num_heads,
        dropout=config.probability("attention_dropout"),
        **options,
    )


def read_feed_forward(
    config: ConfigReader, defaults: Defaults, *, activation: Activation | None = None, bias: bool = False
) -> FeedForwardSpec:
    """Gated; ``activation`` is that of ``hidden_act`` unless given."""
    return FeedForwardSpec(
        d_ff=config.integer("intermediate_size", defaults.intermediate_size),
        activation=activation or config.activation("hidden_act", "silu"),
        gated=True,
        bias=bias,
    )


def read_norm(config: ConfigReader, *, epsilon: float = 1e-6, unit_offset: bool = False) -> NormSpec:
    """RMSNorm."""
    epsilon = config.number("rms_norm_eps", epsilon, low=1e-30, high=1.0)
    return NormSpec(kind=NormKind.RMS, epsilon=epsilon, unit_offset=unit_offset)


def alike(config: ConfigReader, defaults: Defaults, layer: LayerSpec) -> tuple[LayerSpec, ...]:
    """All layers the same."""
    return (layer,) * config.layers("num_hidden_layers", defaults.num_hidden_layers)


def of_types(
    config: ConfigReader, layer: LayerSpec, kinds: Mapping[str, Mapping[str, Any]], default: Sequence[str]
) -> tuple[LayerSpec, ...]:
    """Layers that differ in their self-attention, as ``layer_types`` says.

    Args:
        kinds: what each type changes in the self-attention of ``layer``.
        default: the type of each layer where the config gives none.
    """
    itself = layer.self_attention
    assert itself is not None, "a layer of the family"
    made = {
        kind: layer.model_copy(update={"self_attention": itself.model_copy(update=dict(change))})
        for kind, change in kinds.items()
    }
    types = config.items("layer_types") or list(default)
    if len(types) != len(default):
        config.faults.append(f"layer_types has {len(types)} entries, and num_hidden_layers is {len(default)}")
    for kind in dict.fromkeys(str(kind) for kind in types):
        if kind not in made:
            config.faults.append(f"layer_types has {kind!r:.80}, and here it can be {' or '.join(made)} only")
    return tuple(made.get(str(kind), layer) for kind in types[: len(default)])


def read_decoder(
    config: ConfigReader,
    defaults: Defaults,
    layers: tuple[LayerSpec, ...],
    *,
    positions: RotarySpec | None,
    scaled: bool = False,
) -> TransformerSpec:
    """Token vectors, ``scaled`` or not, layers, and a last norm like theirs."""
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", defaults.vocab_size),
        d_model=config.integer("hidden_size", defaults.hidden_size),
        decoder=StackSpec(
            embeddings=EmbeddingSpec(scaled=scaled), layers=layers, positions=positions, norm=layers[0].norm
        ),
    )


def _spec(config: ConfigReader) -> TransformerSpec:
    itself = read_attention(config, DEFAULTS, bias=config.flag("attention_bias", False))
    layer = LayerSpec(
        self_attention=itself,
        feed_forward=read_feed_forward(config, DEFAULTS, bias=config.flag("mlp_bias", False)),
        norm=read_norm(config),
    )
    positions = read_rotary(config, head_dim=itself.head_dim)
    return read_decoder(config, DEFAULTS, alike(config, DEFAULTS, layer), positions=positions)


LLAMA = decoder_family(
    "llama",
    ("LlamaModel", "LlamaForCausalLM", "LlamaForSequenceClassification"),
    _spec,
    rules=always(*RULES),
    ignored={
        "pretraining_tp": "how upstream slices its matrices; the numbers are the same",
        "max_sequence_length": "upstream reads max_position_embeddings",
    },
    refused=REFUSED_OPTIONS,
)
