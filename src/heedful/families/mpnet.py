"""MPNet (Song et al. 2020)."""

from __future__ import annotations

from heedful.checkpoint.rules import Rule
from heedful.families.bert import (
    EMBEDDING_RULES,
    FEED_FORWARD_RULES,
    Defaults,
    encoder_layer,
    encoder_only,
    first_token_head,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.families.roberta import (
    CLASSIFIER_RULES,
    UNUSED_POOLER,
    gelu_output,
    language_model_rules,
    positions_after_padding,
)
from heedful.model import ClassificationHeadSpec, RelativeBiasSpec, TransformerSpec

PADDING = 1
"""Positions begin after this row, whatever the config calls the padding's id."""
BUCKETS = 32


def _spec(config: ConfigReader) -> TransformerSpec:
    config.require(
        "relative_attention_num_buckets", BUCKETS, reason=f"upstream's code knows {BUCKETS} buckets of distance only"
    )
    return encoder_only(
        config,
        encoder_layer(config),
        Defaults(vocab_size=30527),
        absolute=positions_after_padding(config, PADDING),
        num_token_types=0,
        relative=RelativeBiasSpec(num_buckets=BUCKETS, max_distance=128),
    )


def _head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    return first_token_head(config, num_labels, dropout=config.probability("hidden_dropout_prob", 0.1))


MPNET = Family(
    model_type="mpnet",
    architecture="MPNetModel",
    spec=_spec,
    rules=always(
        *EMBEDDING_RULES,
        Rule("encoder.relative_attention_bias.weight", "encoder.relative_bias.table.weight"),
        Rule("encoder.layer.{}.attention.attn.q.*", "encoder.layers.{}.self_attention.query.*"),
        Rule("encoder.layer.{}.attention.attn.k.*", "encoder.layers.{}.self_attention.key.*"),
        Rule("encoder.layer.{}.attention.attn.v.*", "encoder.layers.{}.self_attention.value.*"),
        Rule("encoder.layer.{}.attention.attn.o.*", "encoder.layers.{}.self_attention.output.*"),
        Rule("encoder.layer.{}.attention.LayerNorm.*", "encoder.layers.{}.self_attention_residual.norm_sum.*"),
        *FEED_FORWARD_RULES,
        UNUSED_POOLER,
    ),
    language_model=LanguageModel("MPNetForMaskedLM", gelu_output, language_model_rules, prefix="mpnet."),
    classifier=Classifier("MPNetForSequenceClassification", _head, always(*CLASSIFIER_RULES), prefix="mpnet."),
    refused=("relative_attention_num_buckets other than 32",),
)
