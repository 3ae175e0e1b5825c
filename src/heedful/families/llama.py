"""LLaMA (Touvron et al. 2023), 1 to 3."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.families.rotary import read_rotary
from heedful.model import (
    ClassificationHeadSpec,
    FeedForwardSpec,
    LayerSpec,
    NormKind,
    NormSpec,
    OutputSpec,
    Pooling,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)

RULES: Rules = (
    Rule("embed_tokens.weight", "token_embedding.weight"),
    Rule("layers.{}.self_attn.q_proj.*", "decoder.layers.{}.self_attention.query.*"),
    Rule("layers.{}.self_attn.k_proj.*", "decoder.layers.{}.self_attention.key.*"),
    Rule("layers.{}.self_attn.v_proj.*", "decoder.layers.{}.self_attention.value.*"),
    Rule("layers.{}.self_attn.o_proj.*", "decoder.layers.{}.self_attention.output.*"),
    Rule("layers.{}.mlp.gate_proj.*", "decoder.layers.{}.feed_forward.gate.*"),
    Rule("layers.{}.mlp.up_proj.*", "decoder.layers.{}.feed_forward.up.*"),
    Rule("layers.{}.mlp.down_proj.*", "decoder.layers.{}.feed_forward.down.*"),
    Rule("layers.{}.input_layernorm.weight", "decoder.layers.{}.self_attention_residual.norm_before.weight"),
    Rule("layers.{}.post_attention_layernorm.weight", "decoder.layers.{}.feed_forward_residual.norm_before.weight"),
    Rule("norm.weight", "decoder.norm.weight"),
    Drop("layers.{}.self_attn.rotary_emb.inv_freq", "computed from the config"),
)


def attention(config: ConfigReader, *, num_heads: int, bias: bool) -> SelfAttentionSpec:
    """Grouped-query attention as LLaMA's config states it."""
    d_model = config.integer("hidden_size", 4096)
    head_dim = config.optional_integer("head_dim") or max(d_model // num_heads, 1)
    return SelfAttentionSpec(
        num_heads=num_heads,
        head_dim=head_dim,
        num_kv_heads=config.optional_integer("num_key_value_heads") or num_heads,
        bias=bias,
        dropout=config.probability("attention_dropout"),
    )


def _spec(config: ConfigReader) -> TransformerSpec:
    itself = attention(
        config, num_heads=config.integer("num_attention_heads", 32), bias=config.flag("attention_bias", False)
    )
    norm = NormSpec(kind=NormKind.RMS, epsilon=config.number("rms_norm_eps", 1e-6, low=1e-30, high=1.0))
    layer = LayerSpec(
        self_attention=itself,
        feed_forward=FeedForwardSpec(
            d_ff=config.integer("intermediate_size", 11008),
            activation=config.activation("hidden_act", "silu"),
            gated=True,
            bias=config.flag("mlp_bias", False),
        ),
        norm=norm,
    )
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", 32000),
        d_model=config.integer("hidden_size", 4096),
        decoder=StackSpec(
            layers=(layer,) * config.layers("num_hidden_layers", 32),
            positions=read_rotary(config, base=10_000.0, head_dim=itself.head_dim),
            norm=norm,
        ),
    )


def untied_output(config: ConfigReader) -> OutputSpec:
    """A plain linear map, tied if the config says so."""
    return OutputSpec(tied=config.flag("tie_word_embeddings", False))


def last_token_head(_: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    """One linear map without bias on the last token."""
    return ClassificationHeadSpec(num_labels=num_labels, pooling=Pooling.LAST, bias=False)


LLAMA = Family(
    model_type="llama",
    architecture="LlamaModel",
    spec=_spec,
    rules=always(*RULES),
    language_model=LanguageModel(
        "LlamaForCausalLM", untied_output, always(Rule("lm_head.weight", "output.weight")), prefix="model."
    ),
    classifier=Classifier(
        "LlamaForSequenceClassification",
        last_token_head,
        always(Rule("score.weight", "head.output.weight")),
        prefix="model.",
    ),
    ignored={"pretraining_tp": "how upstream slices its matrices; the numbers are the same"},
    refused=("rope_scaling: longrope", "rope_scaling: dynamic beyond max_position_embeddings"),
)
