"""ALBERT (Lan et al. 2020): layers that share their weights, token vectors narrower than the model."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule
from heedful.families.bert import (
    EMBEDDING_RULES,
    TOKEN_TYPE_RULE,
    Defaults,
    bert_positions,
    encoder_layer,
    encoder_only,
    first_token_head,
    masked_output,
    output_bias,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.model import ClassificationHeadSpec, OutputSpec, TransformerSpec

DEFAULTS = Defaults(
    vocab_size=30000,
    hidden_size=4096,
    num_attention_heads=64,
    intermediate_size=16384,
    hidden_act="gelu_new",
    dropout=0.0,
)
_UNKNOWN = "heedful does not know what this would do"
_LAYER = "encoder.albert_layer_groups.{}.albert_layers.0"


def _spec(config: ConfigReader) -> TransformerSpec:
    config.require("inner_group_num", 1, reason="groups of several layers are not supported")
    for key, value in {"down_scale_factor": 1, "gap_size": 0, "net_structure_type": 0, "num_memory_blocks": 0}.items():
        config.require(key, value, reason=_UNKNOWN)
    config.require("layers_to_keep", [], reason=_UNKNOWN)
    steps, groups = config.layers("num_hidden_layers", 12), config.layers("num_hidden_groups", 1)
    if groups > steps:
        config.faults.append(f"num_hidden_groups is {groups}, more than the {steps} of num_hidden_layers")
        groups = steps
    return encoder_only(
        config,
        encoder_layer(config, DEFAULTS),
        DEFAULTS,
        absolute=bert_positions(config),
        num_token_types=config.integer("type_vocab_size", 2),
        embedding_width=config.integer("embedding_size", 128),
        order=tuple(int(step / (steps / groups)) for step in range(steps)),
    )


def _output(config: ConfigReader) -> OutputSpec:
    return masked_output(config, DEFAULTS)


def _head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    return first_token_head(config, num_labels, dropout=config.probability("classifier_dropout_prob", 0.1))


ALBERT = Family(
    model_type="albert",
    architecture="AlbertModel",
    spec=_spec,
    rules=always(
        *EMBEDDING_RULES,
        TOKEN_TYPE_RULE,
        Rule("encoder.embedding_hidden_mapping_in.*", "encoder.embeddings.projection.*"),
        Rule(f"{_LAYER}.attention.query.*", "encoder.layers.{}.self_attention.query.*"),
        Rule(f"{_LAYER}.attention.key.*", "encoder.layers.{}.self_attention.key.*"),
        Rule(f"{_LAYER}.attention.value.*", "encoder.layers.{}.self_attention.value.*"),
        Rule(f"{_LAYER}.attention.dense.*", "encoder.layers.{}.self_attention.output.*"),
        Rule(f"{_LAYER}.attention.LayerNorm.*", "encoder.layers.{}.self_attention_residual.norm_sum.*"),
        Rule(f"{_LAYER}.ffn.*", "encoder.layers.{}.feed_forward.up.*"),
        Rule(f"{_LAYER}.ffn_output.*", "encoder.layers.{}.feed_forward.down.*"),
        Rule(f"{_LAYER}.full_layer_layer_norm.*", "encoder.layers.{}.feed_forward_residual.norm_sum.*"),
        Rule("pooler.*", "head.dense.*"),
    ),
    language_model=LanguageModel(
        "AlbertForMaskedLM",
        _output,
        lambda spec: (
            Rule("predictions.dense.*", "output.transform.dense.*"),
            Rule("predictions.LayerNorm.*", "output.transform.norm.*"),
            Rule("predictions.decoder.weight", "output.weight"),
            *output_bias(spec, "predictions.bias", "predictions.decoder.bias"),
            Drop("sop_classifier.classifier.*", "predicts the order of two texts, which no job needs"),
        ),
        prefix="albert.",
    ),
    classifier=Classifier(
        "AlbertForSequenceClassification", _head, always(Rule("classifier.*", "head.output.*")), prefix="albert."
    ),
    refused=("inner_group_num other than 1", "position_embedding_type: relative_key"),
)
