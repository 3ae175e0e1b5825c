"""RoBERTa (Liu et al. 2019), XLM-R (Conneau et al. 2020) and CamemBERT (Martin et al. 2020)."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.bert import (
    BERT_DEFAULTS,
    EMBEDDING_RULES,
    LAYER_RULES,
    TOKEN_TYPE_RULE,
    Defaults,
    encoder_layer,
    encoder_only,
    first_token_head,
    masked_output,
    output_bias,
    require_absolute_positions,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.model import Activation, LearnedSpec, OutputSpec, TransformerSpec

CLASSIFIER_RULES: Rules = (
    Rule("classifier.dense.*", "head.dense.*"),
    Rule("classifier.out_proj.*", "head.output.*"),
)
UNUSED_POOLER = Drop("pooler.dense.*", "left from pretraining; the family's classifiers do not use it")


def positions_after_padding(config: ConfigReader, padding: int) -> LearnedSpec:
    """Learned positions: texts begin at the row after that of the padding's id."""
    require_absolute_positions(config)
    rows, offset = config.integer("max_position_embeddings", 512), padding + 1
    if rows <= offset:
        config.faults.append(f"max_position_embeddings is {rows}: the first position is number {offset}")
    return LearnedSpec(max_positions=max(rows - offset, 1), offset=offset)


def gelu_output(config: ConfigReader) -> OutputSpec:
    """As BERT's, with GELU whatever the layers have."""
    return masked_output(config, activation=Activation.GELU)


def language_model_rules(spec: TransformerSpec) -> Rules:
    """Of the head that fairseq's encoders have."""
    return (
        Rule("lm_head.dense.*", "output.transform.dense.*"),
        Rule("lm_head.layer_norm.*", "output.transform.norm.*"),
        Rule("lm_head.decoder.weight", "output.weight"),
        *output_bias(spec, "lm_head.bias", "lm_head.decoder.bias"),
    )


def _family(model_type: str, name: str, defaults: Defaults = BERT_DEFAULTS) -> Family:
    def spec(config: ConfigReader) -> TransformerSpec:
        return encoder_only(
            config,
            encoder_layer(config),
            defaults,
            absolute=positions_after_padding(config, config.integer("pad_token_id", 1, low=0, high=2**16 - 1)),
            num_token_types=config.integer("type_vocab_size", 2),
        )

    return Family(
        model_type=model_type,
        architecture=f"{name}Model",
        spec=spec,
        rules=always(*EMBEDDING_RULES, TOKEN_TYPE_RULE, *LAYER_RULES, UNUSED_POOLER),
        language_model=LanguageModel(f"{name}ForMaskedLM", gelu_output, language_model_rules, prefix="roberta."),
        classifier=Classifier(
            f"{name}ForSequenceClassification", first_token_head, always(*CLASSIFIER_RULES), prefix="roberta."
        ),
        refused=("is_decoder", "add_cross_attention", "position_embedding_type: relative_key"),
    )


ROBERTA = _family("roberta", "Roberta", Defaults(vocab_size=50265))
XLM_ROBERTA = _family("xlm-roberta", "XLMRoberta")
CAMEMBERT = _family("camembert", "Camembert")
