"""BART (Lewis et al. 2020), and what the families share that keep its config and its names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heedful.checkpoint.rules import Drop, Rule, Rules, Squeeze
from heedful.families.config import GENERATION, ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.model import (
    AttentionSpec,
    ClassificationHeadSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    NormPlacement,
    NormSpec,
    OutputSpec,
    Pooling,
    SelfAttentionSpec,
    SinusoidalSpec,
    StackSpec,
    TransformerSpec,
)

IGNORED = {
    "num_hidden_layers": "says encoder_layers again",
    "add_bias_logits": "the output has a bias where one is stored",
    "classif_dropout": "an earlier name of classifier_dropout",
    "force_bos_token_to_be_generated": GENERATION,
}
WITHOUT_HEAD = {"classifier_dropout": "of a head that this family does not have"}
COMPUTED_POSITIONS = {"extra_pos_embeddings": "rows of a table that is computed"}
OTHER_MODEL = "earlier code made another model of it, which this family is not"
TABLES_APART = "then the tables of source, target and output tokens are kept apart, and heedful has one"
OPTIONS_REFUSED = ("tie_word_embeddings: false", "norms and positions of another family")

TOKEN_TABLE = Rule(
    "shared.weight", "token_embedding.weight", also=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
)
HEAD_RULES: Rules = (
    Rule("classification_head.dense.*", "head.dense.*"),
    Rule("classification_head.out_proj.*", "head.output.*"),
)
DROPPED: Rules = tuple(
    Drop(f"{stack}.{name}", reason)
    for stack in ("encoder", "decoder")
    for name, reason in {
        "embed_positions.weight": "fixed sines and cosines, which heedful computes",
        "embed_positions.weights": "fixed sines and cosines, which heedful computes",
        "version": "a number of fairseq's",
    }.items()
)
"""Learned tables of positions have a rule before these."""
SLOTS = {
    "encoder": {"self_attn": "self_attention"},
    "decoder": {"self_attn": "self_attention", "encoder_attn": "cross_attention"},
}
PROJECTIONS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output"}


@dataclass(frozen=True)
class Form:
    """What sets these families apart, and defaults of theirs that are not BART's."""

    pre_norm: bool
    """Norms before the slots and one after each stack, instead of norms on the sums."""
    embedding_norm: bool
    positions: Callable[[ConfigReader], LearnedSpec | SinusoidalSpec]
    vocabulary_size: int = 50265
    activation: str = "gelu"
    scaled: bool = False
    attention_dropout: float = 0.0

    def spec(self, config: ConfigReader) -> TransformerSpec:
        """The model without its output."""
        positions = self.positions(config)
        built = {
            "normalize_before": self.pre_norm,
            "add_final_layer_norm": self.pre_norm,
            "normalize_embedding": self.embedding_norm,
            "static_position_embeddings": isinstance(positions, SinusoidalSpec),
            "do_blenderbot_90_layernorm": False,
        }
        for key, wanted in built.items():
            config.require(key, wanted, reason=OTHER_MODEL)
        config.require("tie_word_embeddings", True, reason=TABLES_APART)
        return TransformerSpec(
            vocabulary_size=config.integer("vocab_size", self.vocabulary_size),
            d_model=config.integer("d_model", 1024),
            encoder=self._stack(config, "encoder", positions),
            decoder=self._stack(config, "decoder", positions),
        )

    def rules(self, spec: TransformerSpec) -> Rules:
        """For all weights but those of the heads."""
        learned = spec.encoder is not None and isinstance(spec.encoder.embeddings.positions, LearnedSpec)
        norm = "norm_before" if self.pre_norm else "norm_sum"
        names: dict[str, str] = {}
        for stack, slots in SLOTS.items():
            layer = f"{stack}.layers.{{}}"
            for theirs, ours in slots.items():
                names |= {f"{layer}.{theirs}.{key}": f"{layer}.{ours}.{name}" for key, name in PROJECTIONS.items()}
                names[f"{layer}.{theirs}_layer_norm"] = f"{layer}.{ours}_residual.{norm}"
            names[f"{layer}.fc1"] = f"{layer}.feed_forward.up"
            names[f"{layer}.fc2"] = f"{layer}.feed_forward.down"
            names[f"{layer}.final_layer_norm"] = f"{layer}.feed_forward_residual.{norm}"
            names[f"{stack}.layernorm_embedding"] = f"{stack}.embeddings.norm"
            names[f"{stack}.layer_norm"] = f"{stack}.norm"
            if learned:
                names[f"{stack}.embed_positions"] = f"{stack}.embeddings.positions.table"
        return (TOKEN_TABLE, *(Rule(f"{theirs}.*", f"{ours}.*") for theirs, ours in names.items()), *DROPPED)

    def _stack(self, config: ConfigReader, side: str, positions: LearnedSpec | SinusoidalSpec) -> StackSpec:
        d_model = config.integer("d_model", 1024)
        num_heads, head_dim = config.heads(f"{side}_attention_heads", 16, d_model=d_model)
        between = config.probability("attention_dropout", self.attention_dropout)
        dropout = config.probability("dropout", 0.1)
        layer = LayerSpec(
            self_attention=SelfAttentionSpec(num_heads=num_heads, head_dim=head_dim, dropout=between),
            cross_attention=AttentionSpec(num_heads=num_heads, head_dim=head_dim, dropout=between)
            if side == "decoder"
            else None,
            feed_forward=FeedForwardSpec(
                d_ff=config.integer(f"{side}_ffn_dim", 4096),
                activation=config.activation("activation_function", self.activation),
                dropout=config.probability("activation_dropout"),
            ),
            norm_placement=NormPlacement.PRE if self.pre_norm else NormPlacement.POST,
            dropout=dropout,
        )
        return StackSpec(
            embeddings=EmbeddingSpec(
                scaled=config.flag("scale_embedding", self.scaled),
                positions=positions,
                norm=NormSpec() if self.embedding_norm else None,
                dropout=dropout,
            ),
            layers=(layer,) * config.layers(f"{side}_layers", 12),
            norm=NormSpec() if self.pre_norm else None,
        )


def learned_positions(config: ConfigReader) -> LearnedSpec:
    """A table whose first two rows stand for padding, from fairseq."""
    config.require("extra_pos_embeddings", 2, reason=OTHER_MODEL)
    return LearnedSpec(max_positions=config.integer("max_position_embeddings", 1024), offset=2)


def computed_positions(config: ConfigReader) -> SinusoidalSpec:
    """All sines, then all cosines."""
    return SinusoidalSpec(halves=True, max_positions=config.integer("max_position_embeddings", 1024))


def language_model(architecture: str) -> LanguageModel:
    """Tied output with a bias, which is zero where none is stored."""
    return LanguageModel(
        architecture,
        lambda _: OutputSpec(bias=True),
        always(Rule("lm_head.weight", "output.weight"), Squeeze("final_logits_bias", "output.bias")),
        prefix="model.",
        optional=frozenset({"output.bias"}),
    )


def end_of_text_head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    """On the decoder's state at the text's last token, with which it ends: the text is what both stacks read."""
    return ClassificationHeadSpec(
        num_labels=num_labels, pooling=Pooling.LAST, dense=True, dropout=config.probability("classifier_dropout")
    )


def classifier(architecture: str, prefix: str = "model.") -> Classifier:
    """The head of BART's classifiers, which T5's have too."""
    return Classifier(architecture, end_of_text_head, always(*HEAD_RULES), prefix=prefix)


_FORM = Form(pre_norm=False, embedding_norm=True, positions=learned_positions)

BART = Family(
    model_type="bart",
    architecture="BartModel",
    spec=_FORM.spec,
    rules=_FORM.rules,
    language_model=language_model("BartForConditionalGeneration"),
    classifier=classifier("BartForSequenceClassification"),
    ignored=IGNORED,
    refused=OPTIONS_REFUSED,
)
