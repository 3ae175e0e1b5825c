"""GPT-2 (Radford et al. 2019)."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule, Rules, Split, Transpose
from heedful.families.config import ConfigReader
from heedful.families.decoder import decoder_family, tied_output
from heedful.families.family import always
from heedful.model import (
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    NormSpec,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)

RULES: Rules = (
    Rule("wte.weight", "token_embedding.weight"),
    Rule("wpe.weight", "decoder.embeddings.positions.table.weight"),
    Rule("h.{}.ln_1.*", "decoder.layers.{}.self_attention_residual.norm_before.*"),
    Split(
        "h.{}.attn.c_attn.*",
        tuple(f"decoder.layers.{{}}.self_attention.{name}.*" for name in ("query", "key", "value")),
        transposed=True,
    ),
    Transpose("h.{}.attn.c_proj.*", "decoder.layers.{}.self_attention.output.*"),
    Rule("h.{}.ln_2.*", "decoder.layers.{}.feed_forward_residual.norm_before.*"),
    Transpose("h.{}.mlp.c_fc.*", "decoder.layers.{}.feed_forward.up.*"),
    Transpose("h.{}.mlp.c_proj.*", "decoder.layers.{}.feed_forward.down.*"),
    Rule("ln_f.*", "decoder.norm.*"),
    Drop("h.{}.attn.bias", "which tokens come before which"),
    Drop("h.{}.attn.masked_bias", "a number that hides a score"),
)


def _spec(config: ConfigReader) -> TransformerSpec:
    d_model = config.integer("n_embd", 768)
    num_heads, head_dim = config.heads("n_head", 12, d_model=d_model)
    norm = NormSpec(epsilon=config.number("layer_norm_epsilon", 1e-5, low=1e-30, high=1.0))
    feed_forward = FeedForwardSpec(
        d_ff=config.optional_integer("n_inner") or 4 * d_model,
        activation=config.activation("activation_function", "gelu_new"),
    )
    scale = head_dim**-0.5 if config.flag("scale_attn_weights", True) else 1.0
    by_layer = config.flag("scale_attn_by_inverse_layer_idx", False)
    attention_dropout, dropout = config.probability("attn_pdrop", 0.1), config.probability("resid_pdrop", 0.1)
    layers = tuple(
        LayerSpec(
            self_attention=SelfAttentionSpec(
                num_heads=num_heads,
                head_dim=head_dim,
                scale=scale / (number if by_layer else 1),
                dropout=attention_dropout,
            ),
            feed_forward=feed_forward,
            norm=norm,
            dropout=dropout,
        )
        for number in range(1, 1 + config.layers("n_layer", 12))
    )
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", 50257),
        d_model=d_model,
        decoder=StackSpec(
            embeddings=EmbeddingSpec(
                positions=LearnedSpec(max_positions=config.integer("n_positions", 1024)),
                dropout=config.probability("embd_pdrop", 0.1),
            ),
            layers=layers,
            norm=norm,
        ),
    )


_SUMMARY = ("summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels", "summary_first_dropout")

GPT2 = decoder_family(
    "gpt2",
    ("GPT2Model", "GPT2LMHeadModel", "GPT2ForSequenceClassification"),
    _spec,
    rules=always(*RULES),
    output=tied_output,
    prefix="transformer.",
    ignored={
        "n_ctx": "the size of a mask, which is n_positions",
        "reorder_and_upcast_attn": "the precision of upstream's scores in half precision",
        **dict.fromkeys(_SUMMARY, "of a head for multiple choice"),
    },
    refused=("add_cross_attention",),
)
