"""ELECTRA (Clark et al. 2020)."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule
from heedful.families.bert import (
    EMBEDDING_RULES,
    LAYER_RULES,
    TOKEN_TYPE_RULE,
    Defaults,
    bert_positions,
    encoder_layer,
    encoder_only,
    first_token_head,
    masked_output,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.families.roberta import CLASSIFIER_RULES
from heedful.model import Activation, ClassificationHeadSpec, OutputSpec, TransformerSpec

DEFAULTS = Defaults(hidden_size=256, num_attention_heads=4, intermediate_size=1024)
_SUMMARY = "of a head for multiple choice, which heedful does not have"


def _spec(config: ConfigReader) -> TransformerSpec:
    width = config.integer("embedding_size", 128)
    return encoder_only(
        config,
        encoder_layer(config, DEFAULTS),
        DEFAULTS,
        absolute=bert_positions(config),
        num_token_types=config.integer("type_vocab_size", 2),
        embedding_width=None if width == config.integer("hidden_size", DEFAULTS.hidden_size) else width,
    )


def _output(config: ConfigReader) -> OutputSpec:
    return masked_output(config, DEFAULTS, activation=Activation.GELU)


def _head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    return first_token_head(config, num_labels, activation=Activation.GELU)


ELECTRA = Family(
    model_type="electra",
    architecture="ElectraModel",
    spec=_spec,
    rules=always(
        *EMBEDDING_RULES,
        TOKEN_TYPE_RULE,
        Rule("embeddings_project.*", "encoder.embeddings.projection.*"),
        *LAYER_RULES,
    ),
    language_model=LanguageModel(
        "ElectraForMaskedLM",
        _output,
        always(
            Rule("generator_predictions.dense.*", "output.transform.dense.*"),
            Rule("generator_predictions.LayerNorm.*", "output.transform.norm.*"),
            Rule("generator_lm_head.weight", "output.weight"),
            Rule("generator_lm_head.bias", "output.bias"),
            Drop("discriminator_predictions.dense.*", "tells replaced tokens from true ones, which no job needs"),
            Drop("discriminator_predictions.dense_prediction.*", "as discriminator_predictions.dense"),
        ),
        prefix="electra.",
    ),
    classifier=Classifier(
        "ElectraForSequenceClassification",
        _head,
        always(*CLASSIFIER_RULES),
        prefix="electra.",
    ),
    ignored=dict.fromkeys(("summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"), _SUMMARY),
    refused=("is_decoder", "add_cross_attention", "position_embedding_type: relative_key"),
)
