"""GPT-NeoX (Black et al. 2022) and Pythia (Biderman et al. 2023)."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule, Rules, SplitHeads
from heedful.families.config import ConfigReader
from heedful.families.decoder import last_token_classifier, untied_output
from heedful.families.family import Family, LanguageModel, always
from heedful.families.rotary import REFUSED_OPTIONS, RotaryKeys, read_rotary
from heedful.model import (
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    NormSpec,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)

OLD_KEYS = RotaryKeys(theta="rotary_emb_base", fraction="rotary_pct")


def _spec(config: ConfigReader) -> TransformerSpec:
    d_model = config.integer("hidden_size", 6144)
    num_heads, head_dim = config.heads("num_attention_heads", 64, d_model=d_model)
    norm = NormSpec(epsilon=config.number("layer_norm_eps", 1e-5, low=1e-30, high=1.0))
    dropout = config.probability("hidden_dropout")
    layer = LayerSpec(
        self_attention=SelfAttentionSpec(
            num_heads=num_heads,
            head_dim=head_dim,
            bias=config.flag("attention_bias", True),
            dropout=config.probability("attention_dropout"),
        ),
        feed_forward=FeedForwardSpec(
            d_ff=config.integer("intermediate_size", 24576), activation=config.activation("hidden_act", "gelu")
        ),
        norm=norm,
        parallel=config.flag("use_parallel_residual", True),
        dropout=dropout,
    )
    # Versions 4.4x of upstream wrote these beside the old keys, and read the old ones.
    config.require("rope_theta", config.data.get("rotary_emb_base", 10_000), reason="it is not rotary_emb_base")
    config.require("partial_rotary_factor", config.data.get("rotary_pct", 0.25), reason="it is not rotary_pct")
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", 50432),
        d_model=d_model,
        decoder=StackSpec(
            embeddings=EmbeddingSpec(dropout=dropout),
            layers=(layer,) * config.layers("num_hidden_layers", 44),
            positions=read_rotary(config, head_dim=head_dim, fraction=0.25, keys=OLD_KEYS),
            norm=norm,
        ),
    )


def _rules(spec: TransformerSpec) -> Rules:
    assert spec.decoder is not None, "a decoder"
    attention = spec.decoder.layers[0].self_attention
    assert attention is not None, "a layer of the family"
    fused = tuple(f"decoder.layers.{{}}.self_attention.{name}.*" for name in ("query", "key", "value"))
    return (
        Rule("embed_in.weight", "token_embedding.weight"),
        Rule("layers.{}.input_layernorm.*", "decoder.layers.{}.self_attention_residual.norm_before.*"),
        SplitHeads("layers.{}.attention.query_key_value.*", fused, num_heads=attention.num_heads),
        Rule("layers.{}.attention.dense.*", "decoder.layers.{}.self_attention.output.*"),
        Rule("layers.{}.post_attention_layernorm.*", "decoder.layers.{}.feed_forward_residual.norm_before.*"),
        Rule("layers.{}.mlp.dense_h_to_4h.*", "decoder.layers.{}.feed_forward.up.*"),
        Rule("layers.{}.mlp.dense_4h_to_h.*", "decoder.layers.{}.feed_forward.down.*"),
        Rule("final_layer_norm.*", "decoder.norm.*"),
        Drop("layers.{}.attention.bias", "which tokens come before which"),
        Drop("layers.{}.attention.masked_bias", "a number that hides a score"),
        Drop("layers.{}.attention.rotary_emb.inv_freq", "computed from the config"),
    )


GPT_NEOX = Family(
    model_type="gpt_neox",
    architecture="GPTNeoXModel",
    spec=_spec,
    rules=_rules,
    language_model=LanguageModel(
        "GPTNeoXForCausalLM",
        untied_output,
        always(Rule("embed_out.weight", "output.weight", also=("lm_head.weight",))),
        prefix="gpt_neox.",
    ),
    classifier=last_token_classifier("GPTNeoXForSequenceClassification", "gpt_neox."),
    ignored={
        "classifier_dropout": "upstream's classifier of texts has none",
        **dict.fromkeys(
            ("attention_probs_dropout_prob", "hidden_dropout_prob"), "of another family; upstream does not read it"
        ),
    },
    refused=REFUSED_OPTIONS,
)
