"""BERT (Devlin et al. 2019)."""

from __future__ import annotations

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.model import (
    ClassificationHeadSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    NormPlacement,
    NormSpec,
    OutputSpec,
    OutputTransformSpec,
    Pooling,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)

LAYER_RULES: Rules = (
    Rule("encoder.layer.{}.attention.self.query.*", "encoder.layers.{}.self_attention.query.*"),
    Rule("encoder.layer.{}.attention.self.key.*", "encoder.layers.{}.self_attention.key.*"),
    Rule("encoder.layer.{}.attention.self.value.*", "encoder.layers.{}.self_attention.value.*"),
    Rule("encoder.layer.{}.attention.output.dense.*", "encoder.layers.{}.self_attention.output.*"),
    Rule("encoder.layer.{}.attention.output.LayerNorm.*", "encoder.layers.{}.self_attention_residual.norm_sum.*"),
    Rule("encoder.layer.{}.intermediate.dense.*", "encoder.layers.{}.feed_forward.up.*"),
    Rule("encoder.layer.{}.output.dense.*", "encoder.layers.{}.feed_forward.down.*"),
    Rule("encoder.layer.{}.output.LayerNorm.*", "encoder.layers.{}.feed_forward_residual.norm_sum.*"),
)
EMBEDDING_RULES: Rules = (
    Rule("embeddings.word_embeddings.weight", "token_embedding.weight"),
    Rule("embeddings.position_embeddings.weight", "encoder.embeddings.positions.table.weight"),
    Rule("embeddings.token_type_embeddings.weight", "encoder.embeddings.token_types.weight"),
    Rule("embeddings.LayerNorm.*", "encoder.embeddings.norm.*"),
    Drop("embeddings.position_ids", "the numbers 0, 1, …"),
)


def encoder_layer(config: ConfigReader, *, epsilon: float = 1e-12) -> LayerSpec:
    """The layer of BERT and all that keep its config."""
    d_model, num_heads = config.integer("hidden_size", 768), config.integer("num_attention_heads", 12)
    if d_model % num_heads:
        config.faults.append(f"hidden_size {d_model} is not divisible by num_attention_heads {num_heads}")
    return LayerSpec(
        self_attention=SelfAttentionSpec(
            num_heads=num_heads,
            head_dim=max(d_model // num_heads, 1),
            dropout=config.probability("attention_probs_dropout_prob", 0.1),
        ),
        feed_forward=FeedForwardSpec(
            d_ff=config.integer("intermediate_size", 3072), activation=config.activation("hidden_act", "gelu")
        ),
        norm=NormSpec(epsilon=config.number("layer_norm_eps", epsilon, low=1e-30, high=1.0)),
        norm_placement=NormPlacement.POST,
        dropout=config.probability("hidden_dropout_prob", 0.1),
    )


def _spec(config: ConfigReader) -> TransformerSpec:
    config.require("position_embedding_type", "absolute", reason="relative positions of BERT are not supported")
    layer = encoder_layer(config)
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", 30522),
        d_model=config.integer("hidden_size", 768),
        encoder=StackSpec(
            embeddings=EmbeddingSpec(
                positions=LearnedSpec(max_positions=config.integer("max_position_embeddings", 512)),
                num_token_types=config.integer("type_vocab_size", 2),
                norm=layer.norm,
                dropout=layer.dropout,
            ),
            layers=(layer,) * config.layers("num_hidden_layers", 12),
        ),
    )


def masked_output(config: ConfigReader) -> OutputSpec:
    """Dense, nonlinearity and norm before the output."""
    return OutputSpec(
        tied=config.flag("tie_word_embeddings", True),
        bias=True,
        transform=OutputTransformSpec(
            activation=config.activation("hidden_act", "gelu"),
            norm=NormSpec(epsilon=config.number("layer_norm_eps", 1e-12, low=1e-30, high=1.0)),
        ),
    )


def output_bias(spec: TransformerSpec, tied: str, untied: str) -> Rules:
    """The output's bias bears two names where the output is tied; where it is not, the first is never added."""
    if spec.output is not None and not spec.output.tied:
        return (Rule(untied, "output.bias"), Drop(tied, "upstream adds it only where the output is tied"))
    return (Rule(tied, "output.bias", also=(untied,)),)


def _head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    return ClassificationHeadSpec(
        num_labels=num_labels,
        pooling=Pooling.FIRST,
        dense=True,
        dropout=config.probability("classifier_dropout", config.probability("hidden_dropout_prob", 0.1)),
    )


BERT = Family(
    model_type="bert",
    architecture="BertModel",
    spec=_spec,
    rules=always(*EMBEDDING_RULES, *LAYER_RULES, Rule("pooler.dense.*", "head.dense.*")),
    language_model=LanguageModel(
        "BertForMaskedLM",
        masked_output,
        lambda spec: (
            Rule("cls.predictions.transform.dense.*", "output.transform.dense.*"),
            Rule("cls.predictions.transform.LayerNorm.*", "output.transform.norm.*"),
            Rule("cls.predictions.decoder.weight", "output.weight"),
            *output_bias(spec, "cls.predictions.bias", "cls.predictions.decoder.bias"),
            Drop("cls.seq_relationship.*", "predicts whether one text follows another, which no job needs"),
        ),
        prefix="bert.",
    ),
    classifier=Classifier(
        "BertForSequenceClassification", _head, always(Rule("classifier.*", "head.output.*")), prefix="bert."
    ),
    refused=("is_decoder", "add_cross_attention", "position_embedding_type: relative_key"),
)
