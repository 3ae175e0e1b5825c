"""DistilBERT (Sanh et al. 2019)."""

from __future__ import annotations

from heedful.checkpoint.rules import Rule
from heedful.families.bert import EMBEDDING_RULES
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.model import (
    Activation,
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

NORM = NormSpec(epsilon=1e-12)


def _spec(config: ConfigReader) -> TransformerSpec:
    d_model = config.integer("dim", 768)
    num_heads, head_dim = config.heads("n_heads", 12, d_model=d_model)
    dropout = config.probability("dropout", 0.1)
    layer = LayerSpec(
        self_attention=SelfAttentionSpec(
            num_heads=num_heads,
            head_dim=head_dim,
            dropout=config.probability("attention_dropout", 0.1),
        ),
        feed_forward=FeedForwardSpec(
            d_ff=config.integer("hidden_dim", 4 * 768), activation=config.activation("activation", "gelu")
        ),
        norm=NORM,
        norm_placement=NormPlacement.POST,
        dropout=dropout,
    )
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", 30522),
        d_model=d_model,
        encoder=StackSpec(
            embeddings=EmbeddingSpec(
                positions=LearnedSpec(max_positions=config.integer("max_position_embeddings", 512)),
                norm=NORM,
                dropout=dropout,
            ),
            layers=(layer,) * config.layers("n_layers", 6),
        ),
    )


def _output(config: ConfigReader) -> OutputSpec:
    config.require("tie_weights_", True, reason="an older name of tie_word_embeddings, which says it now")
    transform = OutputTransformSpec(activation=config.activation("activation", "gelu"), norm=NORM)
    return OutputSpec(tied=config.flag("tie_word_embeddings", True), bias=True, transform=transform)


def _head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    return ClassificationHeadSpec(
        num_labels=num_labels,
        pooling=Pooling.FIRST,
        dense=True,
        activation=Activation.RELU,
        dropout=config.probability("seq_classif_dropout", 0.2),
    )


DISTILBERT = Family(
    model_type="distilbert",
    architecture="DistilBertModel",
    spec=_spec,
    rules=always(
        *EMBEDDING_RULES,
        Rule("transformer.layer.{}.attention.q_lin.*", "encoder.layers.{}.self_attention.query.*"),
        Rule("transformer.layer.{}.attention.k_lin.*", "encoder.layers.{}.self_attention.key.*"),
        Rule("transformer.layer.{}.attention.v_lin.*", "encoder.layers.{}.self_attention.value.*"),
        Rule("transformer.layer.{}.attention.out_lin.*", "encoder.layers.{}.self_attention.output.*"),
        Rule("transformer.layer.{}.sa_layer_norm.*", "encoder.layers.{}.self_attention_residual.norm_sum.*"),
        Rule("transformer.layer.{}.ffn.lin1.*", "encoder.layers.{}.feed_forward.up.*"),
        Rule("transformer.layer.{}.ffn.lin2.*", "encoder.layers.{}.feed_forward.down.*"),
        Rule("transformer.layer.{}.output_layer_norm.*", "encoder.layers.{}.feed_forward_residual.norm_sum.*"),
    ),
    language_model=LanguageModel(
        "DistilBertForMaskedLM",
        _output,
        always(
            Rule("vocab_transform.*", "output.transform.dense.*"),
            Rule("vocab_layer_norm.*", "output.transform.norm.*"),
            Rule("vocab_projector.weight", "output.weight"),
            Rule("vocab_projector.bias", "output.bias"),
        ),
        prefix="distilbert.",
    ),
    classifier=Classifier(
        "DistilBertForSequenceClassification",
        _head,
        always(Rule("pre_classifier.*", "head.dense.*"), Rule("classifier.*", "head.output.*")),
        prefix="distilbert.",
    ),
    ignored={
        "sinusoidal_pos_embds": "says what the positions were at first; their table is stored either way",
        "qa_dropout": "of a head for questions, which heedful does not have",
    },
)
