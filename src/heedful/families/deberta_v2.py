"""DeBERTa v2 and v3 (He et al. 2021, He et al. 2023), and mDeBERTa."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.bert import (
    ATTENTION_OUTPUT_RULES,
    EMBEDDING_RULES,
    FEED_FORWARD_RULES,
    TOKEN_TYPE_RULE,
    Defaults,
    encoder_layer,
    encoder_only,
    layer_norm,
    masked_output,
    output_bias,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.model import (
    ClassificationHeadSpec,
    DisentangledSpec,
    LearnedSpec,
    OutputSpec,
    Pooling,
    TransformerSpec,
)

DEFAULTS = Defaults(
    vocab_size=128100,
    hidden_size=1536,
    num_hidden_layers=24,
    num_attention_heads=24,
    intermediate_size=6144,
    layer_norm_eps=1e-7,
)
_NORMS = {"none": False, "layer_norm": True}
_NO_CONVOLUTION = "of the convolution, which conv_kernel_size leaves out"
_SUMMARY = "of a head that these models do not have"
_DISCRIMINATOR = "tells replaced tokens from true ones, which no job needs"


def _spec(config: ConfigReader) -> TransformerSpec:
    d_model = config.integer("hidden_size", DEFAULTS.hidden_size)
    _, head_dim = config.heads("num_attention_heads", DEFAULTS.num_attention_heads, d_model=d_model)
    config.require("conv_kernel_size", 0, reason="a convolution beside the first layer is not supported")
    config.require(
        "embedding_size", d_model, reason="token vectors of another width than hidden_size's are not supported"
    )
    config.require("attention_head_size", head_dim, reason=f"heads must share hidden_size, {head_dim} columns each")
    absolute, longest = None, config.integer("max_position_embeddings", 512)
    if config.flag("position_biased_input", True):
        absolute = LearnedSpec(max_positions=longest)
    kinds = _score_kinds(config)
    relative = _relative_positions(config, longest, kinds)
    return encoder_only(
        config,
        # The kinds of scores divide the variance among them even where relative_attention leaves them out.
        encoder_layer(config, DEFAULTS, scale=((1 + len(kinds)) * head_dim) ** -0.5),
        DEFAULTS,
        absolute=absolute,
        num_token_types=config.integer("type_vocab_size", 0, low=0),
        relative=relative,
    )


def _score_kinds(config: ConfigReader) -> set[str]:
    """Of c2p, what a query says against where a key stands, and p2c, the reverse."""
    given = config.data.get("pos_att_type")
    if isinstance(given, str):  # as in the first configs: "p2c|c2p"
        config.read["pos_att_type"] = None
        given = [kind.strip() for kind in given.lower().split("|")]
    else:
        given = config.items("pos_att_type")
    if not all(kind in ("c2p", "p2c") for kind in given):
        config.faults.append(f"pos_att_type is {given!r:.80}: heedful has c2p and p2c")
        return set()
    return set(given)


def _relative_positions(config: ConfigReader, longest: int, kinds: set[str]) -> DisentangledSpec | None:
    farthest = config.integer("max_relative_positions", -1, low=-1)
    buckets = config.integer("position_buckets", -1, low=-1)
    normed, shared = config.choice("norm_rel_ebd", _NORMS, "none"), config.flag("share_att_key", False)
    if not config.flag("relative_attention", False):
        return None
    return DisentangledSpec(
        max_distance=farthest if farthest >= 1 else longest,
        num_buckets=buckets if buckets >= 1 else None,
        content_to_position="c2p" in kinds,
        position_to_content="p2c" in kinds,
        shared_projections=shared,
        norm=layer_norm(config, DEFAULTS) if normed else None,
    )


def _rules(spec: TransformerSpec) -> Rules:
    attention, ours = "encoder.layer.{}.attention", "encoder.layers.{}.self_attention"
    unused: Rules = ()
    if spec.encoder is not None and spec.encoder.embeddings.positions is None:
        unused = (Drop("embeddings.position_embeddings.weight", "position_biased_input is false"),)
    return (
        *unused,
        *EMBEDDING_RULES,
        TOKEN_TYPE_RULE,
        Rule("encoder.rel_embeddings.weight", "encoder.positions.0.table.weight"),
        Rule("encoder.LayerNorm.*", "encoder.positions.0.norm.*"),
        Rule(f"{attention}.self.query_proj.*", f"{ours}.query.*"),
        Rule(f"{attention}.self.key_proj.*", f"{ours}.key.*"),
        Rule(f"{attention}.self.value_proj.*", f"{ours}.value.*"),
        Rule(f"{attention}.self.pos_key_proj.*", f"{ours}.position_key.*"),
        Rule(f"{attention}.self.pos_query_proj.*", f"{ours}.position_query.*"),
        *ATTENTION_OUTPUT_RULES,
        *FEED_FORWARD_RULES,
    )


def _output(config: ConfigReader) -> OutputSpec:
    config.require("legacy", True, reason="the newer form of the language-model head is not supported")
    return masked_output(config, DEFAULTS)


def _language_model_rules(spec: TransformerSpec) -> Rules:
    """The authors' own checkpoints have the same head under another name."""
    return (
        Rule("cls.predictions.transform.dense.*", "output.transform.dense.*", also=("lm_predictions.lm_head.dense.*",)),
        Rule(
            "cls.predictions.transform.LayerNorm.*",
            "output.transform.norm.*",
            also=("lm_predictions.lm_head.LayerNorm.*",),
        ),
        Rule("cls.predictions.decoder.weight", "output.weight"),
        *output_bias(spec, "cls.predictions.bias", "cls.predictions.decoder.bias", "lm_predictions.lm_head.bias"),
        Drop("mask_predictions.dense.*", _DISCRIMINATOR),
        Drop("mask_predictions.LayerNorm.*", _DISCRIMINATOR),
        Drop("mask_predictions.classifier.*", _DISCRIMINATOR),
    )


def _head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    d_model = config.integer("hidden_size", DEFAULTS.hidden_size)
    config.require("pooler_hidden_size", d_model, reason="a pooler of another width than hidden_size is not supported")
    dropout = config.optional_number("cls_dropout")
    return ClassificationHeadSpec(
        num_labels=num_labels,
        pooling=Pooling.FIRST,
        dense=True,
        activation=config.activation("pooler_hidden_act", "gelu"),
        dropout=config.probability("hidden_dropout_prob", DEFAULTS.dropout) if dropout is None else dropout,
    )


DEBERTA_V2 = Family(
    model_type="deberta-v2",
    architecture="DebertaV2Model",
    spec=_spec,
    rules=_rules,
    language_model=LanguageModel("DebertaV2ForMaskedLM", _output, _language_model_rules, prefix="deberta."),
    classifier=Classifier(
        "DebertaV2ForSequenceClassification",
        _head,
        always(Rule("pooler.dense.*", "head.dense.*"), Rule("classifier.*", "head.output.*")),
        prefix="deberta.",
    ),
    ignored={
        **dict.fromkeys(("conv_act", "conv_groups"), _NO_CONVOLUTION),
        **dict.fromkeys(("summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"), _SUMMARY),
        "pooler_dropout": "a second dropout of the head, in training only",
    },
    refused=(
        "conv_kernel_size: the convolution of v2-xlarge and v2-xxlarge",
        "embedding_size, attention_head_size and pooler_hidden_size other than what hidden_size gives",
        "legacy: false",
    ),
)
