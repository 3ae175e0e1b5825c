"""T5 (Raffel et al. 2020), T5 1.1 and mT5 (Xue et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.bart import TOKEN_TABLE, classifier
from heedful.families.config import ACTIVATIONS, ConfigReader
from heedful.families.family import Family, LanguageModel, always
from heedful.model import (
    AttentionSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    NormKind,
    NormSpec,
    OutputSpec,
    RelativeBiasSpec,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)

FEED_FORWARDS: dict[str, tuple[bool, str]] = {
    **{name: (False, name) for name in ACTIVATIONS},
    **{f"gated-{name}": (True, name) for name in ACTIVATIONS},
    "gated-gelu": (True, "gelu_new"),
}
"""Whether it is gated, and its nonlinearity."""
SLOTS = {
    "encoder": (("SelfAttention", "self_attention"), ("DenseReluDense", "feed_forward")),
    "decoder": (
        ("SelfAttention", "self_attention"),
        ("EncDecAttention", "cross_attention"),
        ("DenseReluDense", "feed_forward"),
    ),
}
PROJECTIONS = {"q": "query", "k": "key", "v": "value", "o": "output"}
IGNORED = {"n_positions": "relative positions have no limit"}


def _rules(spec: TransformerSpec) -> Rules:
    names: dict[str, str] = {}
    for stack, slots in SLOTS.items():
        for number, (theirs, ours) in enumerate(slots):
            layer, our_layer = f"{stack}.block.{{}}.layer.{number}", f"{stack}.layers.{{}}"
            parts = PROJECTIONS if ours.endswith("attention") else _feed_forward_names(spec)
            names |= {f"{layer}.{theirs}.{key}": f"{our_layer}.{ours}.{name}" for key, name in parts.items()}
            names[f"{layer}.layer_norm"] = f"{our_layer}.{ours}_residual.norm_before"
        names[f"{stack}.final_layer_norm"] = f"{stack}.norm"
        names[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"] = f"{stack}.relative_bias.table"
    return (
        TOKEN_TABLE,
        *(Rule(f"{theirs}.weight", f"{ours}.weight") for theirs, ours in names.items()),
        Drop("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", "never used by upstream"),
    )


def _feed_forward_names(spec: TransformerSpec) -> dict[str, str]:
    layers = () if spec.encoder is None else spec.encoder.layers
    gated = any(layer.feed_forward is not None and layer.feed_forward.gated for layer in layers)
    return {"wi_0": "gate", "wi_1": "up", "wo": "down"} if gated else {"wi": "up", "wo": "down"}


@dataclass(frozen=True)
class Form:
    """Defaults of a config."""

    vocabulary_size: int
    d_ff: int
    num_layers: int
    num_heads: int
    feed_forward: str

    def spec(self, config: ConfigReader) -> TransformerSpec:
        """The model without its output."""
        num_layers = config.layers("num_layers", self.num_layers)
        symmetric = config.optional_integer("num_decoder_layers") is None
        return TransformerSpec(
            vocabulary_size=config.integer("vocab_size", self.vocabulary_size),
            d_model=config.integer("d_model", 512),
            encoder=self._stack(config, num_layers, crossing=False),
            decoder=self._stack(
                config, num_layers if symmetric else config.layers("num_decoder_layers"), crossing=True
            ),
        )

    def _stack(self, config: ConfigReader, num_layers: int, *, crossing: bool) -> StackSpec:
        num_heads, head_dim = config.integer("num_heads", self.num_heads), config.integer("d_kv", 64)
        gated, activation = config.choice("feed_forward_proj", FEED_FORWARDS, self.feed_forward)
        dropout = config.probability("dropout_rate", 0.1)
        norm = NormSpec(kind=NormKind.RMS, epsilon=config.number("layer_norm_epsilon", 1e-6, low=1e-30, high=1.0))
        # The scale of 1/√head_dim is in the initial weights instead.
        attention = AttentionSpec(num_heads=num_heads, head_dim=head_dim, bias=False, scale=1.0, dropout=dropout)
        layer = LayerSpec(
            self_attention=SelfAttentionSpec(**attention.model_dump()),
            cross_attention=attention if crossing else None,
            feed_forward=FeedForwardSpec(
                d_ff=config.integer("d_ff", self.d_ff),
                activation=config.activation("dense_act_fn", activation),
                gated=config.flag("is_gated_act", gated),
                bias=False,
                dropout=dropout,
            ),
            norm=norm,
            dropout=dropout,
        )
        return StackSpec(
            embeddings=EmbeddingSpec(dropout=dropout),
            layers=(layer,) * num_layers,
            positions=RelativeBiasSpec(
                num_buckets=config.integer("relative_attention_num_buckets", 32),
                max_distance=config.integer("relative_attention_max_distance", 128),
            ),
            norm=norm,
        )


def _output(config: ConfigReader) -> OutputSpec:
    """T5 1.0 ties its output and scales it, T5 1.1 does neither; newer configs say so in another key."""
    tied = config.flag("tie_word_embeddings", True)
    scaled = config.flag("scale_decoder_outputs", tied)
    return OutputSpec(tied=tied and scaled, scaled=scaled)


def _language_model(architecture: str, spec: Callable[[ConfigReader], OutputSpec]) -> LanguageModel:
    """Upstream uses the token table where a checkpoint has no output of its own, whatever its config says."""
    rules = always(Rule("lm_head.weight", "output.weight"))
    return LanguageModel(architecture, spec, rules, optional=frozenset({"output.weight"}))


T5 = Family(
    model_type="t5",
    architecture="T5Model",
    spec=Form(32128, d_ff=2048, num_layers=6, num_heads=8, feed_forward="relu").spec,
    rules=_rules,
    language_model=_language_model("T5ForConditionalGeneration", _output),
    classifier=classifier("T5ForSequenceClassification", prefix="transformer."),
    ignored=IGNORED,
)

MT5 = Family(
    model_type="mt5",
    architecture="MT5Model",
    spec=Form(250112, d_ff=1024, num_layers=8, num_heads=6, feed_forward="gated-gelu").spec,
    rules=_rules,
    language_model=_language_model("MT5ForConditionalGeneration", lambda _: OutputSpec(tied=False)),
    classifier=classifier("MT5ForSequenceClassification", prefix="transformer."),
    ignored=IGNORED | {"tie_word_embeddings": "the output has weights of its own where they are stored"},
)
