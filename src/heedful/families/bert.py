"""BERT (Devlin et al. 2019), and what the families that keep its config share."""

from __future__ import annotations

from dataclasses import dataclass

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.model import (
    Activation,
    ClassificationHeadSpec,
    DisentangledSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    NormPlacement,
    NormSpec,
    OutputSpec,
    OutputTransformSpec,
    Pooling,
    RelativeBiasSpec,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)

ATTENTION_OUTPUT_RULES: Rules = (
    Rule("encoder.layer.{}.attention.output.dense.*", "encoder.layers.{}.self_attention.output.*"),
    Rule("encoder.layer.{}.attention.output.LayerNorm.*", "encoder.layers.{}.self_attention_residual.norm_sum.*"),
)
FEED_FORWARD_RULES: Rules = (
    Rule("encoder.layer.{}.intermediate.dense.*", "encoder.layers.{}.feed_forward.up.*"),
    Rule("encoder.layer.{}.output.dense.*", "encoder.layers.{}.feed_forward.down.*"),
    Rule("encoder.layer.{}.output.LayerNorm.*", "encoder.layers.{}.feed_forward_residual.norm_sum.*"),
)
LAYER_RULES: Rules = (
    Rule("encoder.layer.{}.attention.self.query.*", "encoder.layers.{}.self_attention.query.*"),
    Rule("encoder.layer.{}.attention.self.key.*", "encoder.layers.{}.self_attention.key.*"),
    Rule("encoder.layer.{}.attention.self.value.*", "encoder.layers.{}.self_attention.value.*"),
    *ATTENTION_OUTPUT_RULES,
    *FEED_FORWARD_RULES,
)
EMBEDDING_RULES: Rules = (
    Rule("embeddings.word_embeddings.weight", "token_embedding.weight"),
    Rule("embeddings.position_embeddings.weight", "encoder.embeddings.positions.table.weight"),
    Rule("embeddings.LayerNorm.*", "encoder.embeddings.norm.*"),
    Drop("embeddings.position_ids", "the numbers 0, 1, …"),
)
TOKEN_TYPE_RULE = Rule("embeddings.token_type_embeddings.weight", "encoder.embeddings.token_types.weight")

_POOLER = dict.fromkeys(
    (
        "directionality",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
    ),
    "of the authors' first code; nothing reads it any more",
)


@dataclass(frozen=True)
class Defaults:
    """What a config means that leaves these keys out."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    dropout: float = 0.1
    """``hidden_dropout_prob`` and ``attention_probs_dropout_prob``."""
    layer_norm_eps: float = 1e-12


BERT_DEFAULTS = Defaults()


def layer_norm(config: ConfigReader, defaults: Defaults = BERT_DEFAULTS) -> NormSpec:
    """The norm of all places."""
    return NormSpec(epsilon=config.number("layer_norm_eps", defaults.layer_norm_eps, low=1e-30, high=1.0))


def encoder_layer(config: ConfigReader, defaults: Defaults = BERT_DEFAULTS, *, scale: float | None = None) -> LayerSpec:
    """A layer as BERT has it; ``scale`` is of the scores, 1 / √K unless given."""
    d_model = config.integer("hidden_size", defaults.hidden_size)
    num_heads, head_dim = config.heads("num_attention_heads", defaults.num_attention_heads, d_model=d_model)
    return LayerSpec(
        self_attention=SelfAttentionSpec(
            num_heads=num_heads,
            head_dim=head_dim,
            scale=scale,
            dropout=config.probability("attention_probs_dropout_prob", defaults.dropout),
        ),
        feed_forward=FeedForwardSpec(
            d_ff=config.integer("intermediate_size", defaults.intermediate_size),
            activation=config.activation("hidden_act", defaults.hidden_act),
        ),
        norm=layer_norm(config, defaults),
        norm_placement=NormPlacement.POST,
        dropout=config.probability("hidden_dropout_prob", defaults.dropout),
    )


def encoder_only(
    config: ConfigReader,
    layer: LayerSpec,
    defaults: Defaults = BERT_DEFAULTS,
    *,
    absolute: LearnedSpec | None,
    num_token_types: int,
    relative: RelativeBiasSpec | DisentangledSpec | None = None,
    embedding_width: int | None = None,
    order: tuple[int, ...] | None = None,
) -> TransformerSpec:
    """An encoder of equal layers, with a norm between embeddings and the first.

    There are ``num_hidden_layers``, or as many as ``order`` names.
    """
    num_layers = config.layers("num_hidden_layers", defaults.num_hidden_layers)
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", defaults.vocab_size),
        d_model=config.integer("hidden_size", defaults.hidden_size),
        embedding_width=embedding_width,
        encoder=StackSpec(
            embeddings=EmbeddingSpec(
                positions=absolute, num_token_types=num_token_types, norm=layer.norm, dropout=layer.dropout
            ),
            layers=(layer,) * (num_layers if order is None else max(order) + 1),
            positions=relative,
            order=order,
        ),
    )


def require_absolute_positions(config: ConfigReader) -> None:
    """Refuse the relative positions that BERT's code had until transformers 5."""
    config.require("position_embedding_type", "absolute", reason="relative positions of this kind are not supported")


def bert_positions(config: ConfigReader) -> LearnedSpec:
    """Learned ones, numbered from 0."""
    require_absolute_positions(config)
    return LearnedSpec(max_positions=config.integer("max_position_embeddings", 512))


def _spec(config: ConfigReader) -> TransformerSpec:
    return encoder_only(
        config,
        encoder_layer(config),
        absolute=bert_positions(config),
        num_token_types=config.integer("type_vocab_size", 2),
    )


def masked_output(
    config: ConfigReader, defaults: Defaults = BERT_DEFAULTS, *, activation: Activation | None = None
) -> OutputSpec:
    """Dense, nonlinearity (``hidden_act`` unless given) and norm before the output."""
    return OutputSpec(
        tied=config.flag("tie_word_embeddings", True),
        bias=True,
        transform=OutputTransformSpec(
            activation=activation or config.activation("hidden_act", defaults.hidden_act),
            norm=layer_norm(config, defaults),
        ),
    )


def first_token_head(
    config: ConfigReader,
    num_labels: int,
    *,
    activation: Activation = Activation.TANH,
    dropout: float | None = None,
) -> ClassificationHeadSpec:
    """The first token, a dense layer, the last one; ``dropout`` is ``classifier_dropout`` unless given."""
    if dropout is None:
        dropout = config.optional_number("classifier_dropout")
    return ClassificationHeadSpec(
        num_labels=num_labels,
        pooling=Pooling.FIRST,
        dense=True,
        activation=activation,
        dropout=config.probability("hidden_dropout_prob", 0.1) if dropout is None else dropout,
    )


def output_bias(spec: TransformerSpec, tied: str, untied: str, *also: str) -> Rules:
    """The output's bias bears two names, or more, where the output is tied; where it is not, the first is not added."""
    if spec.output is not None and not spec.output.tied:
        return (Rule(untied, "output.bias"), Drop(tied, "upstream adds it only where the output is tied"))
    return (Rule(tied, "output.bias", also=(untied, *also)),)


BERT = Family(
    model_type="bert",
    architecture="BertModel",
    spec=_spec,
    rules=always(*EMBEDDING_RULES, TOKEN_TYPE_RULE, *LAYER_RULES, Rule("pooler.dense.*", "head.dense.*")),
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
        "BertForSequenceClassification", first_token_head, always(Rule("classifier.*", "head.output.*")), prefix="bert."
    ),
    ignored=_POOLER,
    refused=("is_decoder", "add_cross_attention", "position_embedding_type: relative_key"),
)
