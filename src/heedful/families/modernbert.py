"""ModernBERT (Warner et al. 2024): rotary positions, gated layers, most of which see only what is near."""

from __future__ import annotations

from heedful.checkpoint.rules import Rule, Split
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, always
from heedful.families.rotary import REFUSED_OPTIONS, RotaryKeys, read_rotary
from heedful.model import (
    ClassificationHeadSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    NormSpec,
    OutputSpec,
    OutputTransformSpec,
    Pooling,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
)

GLOBAL, LOCAL = "full_attention", "sliding_attention"
POOLINGS = {"cls": Pooling.FIRST, "mean": Pooling.MEAN}
_KERNELS = "how upstream computes, not what"


def _norm(config: ConfigReader) -> NormSpec:
    return NormSpec(epsilon=config.number("norm_eps", 1e-5, low=1e-30, high=1.0), bias=config.flag("norm_bias", False))


def _layer_types(config: ConfigReader) -> list[str]:
    """Of each layer: given one by one, or every n-th sees the whole text."""
    count, every = config.layers("num_hidden_layers", 22), config.integer("global_attn_every_n_layers", 3)
    types = config.items("layer_types")
    if not types:
        return [LOCAL if number % every else GLOBAL for number in range(count)]
    if len(types) != count or not all(kind in (GLOBAL, LOCAL) for kind in types):
        config.faults.append(f"layer_types is {types!r:.80}, and must name {GLOBAL} or {LOCAL} for {count} layers")
        return [GLOBAL] * count
    return types


def _layers(config: ConfigReader) -> dict[str, LayerSpec]:
    """A layer of each type."""
    d_model = config.integer("hidden_size", 768)
    num_heads, head_dim = config.heads("num_attention_heads", 12, d_model=d_model)
    feed_forward = FeedForwardSpec(
        d_ff=config.integer("intermediate_size", 1152),
        activation=config.activation("hidden_activation", "gelu"),
        gated=True,
        bias=config.flag("mlp_bias", False),
        dropout=config.probability("mlp_dropout"),
    )
    window = config.integer("local_attention", 128) // 2 + 1  # to either side, the token itself included
    layers = {}
    for kind, theta, base in ((GLOBAL, "global_rope_theta", 160_000.0), (LOCAL, "local_rope_theta", 10_000.0)):
        itself = SelfAttentionSpec(
            num_heads=num_heads,
            head_dim=head_dim,
            bias=config.flag("attention_bias", False),
            dropout=config.probability("attention_dropout"),
            rotary=read_rotary(
                config,
                head_dim=head_dim,
                max_positions=8192,
                base=base,
                keys=RotaryKeys(theta=theta),
                layer_type=kind,
            ),
            window=window if kind == LOCAL else None,
        )
        layers[kind] = LayerSpec(self_attention=itself, feed_forward=feed_forward, norm=_norm(config))
    return layers


def _spec(config: ConfigReader) -> TransformerSpec:
    types = _layer_types(config)
    of_type, norm = _layers(config), _norm(config)
    first, *others = (of_type[kind] for kind in types)
    return TransformerSpec(
        vocabulary_size=config.integer("vocab_size", 50368),
        d_model=config.integer("hidden_size", 768),
        encoder=StackSpec(
            embeddings=EmbeddingSpec(norm=norm, dropout=config.probability("embedding_dropout")),
            # The norm of the embeddings stands just before it.
            layers=(first.model_copy(update={"without_norm": ("self_attention",)}), *others),
            norm=norm,
        ),
    )


def _output(config: ConfigReader) -> OutputSpec:
    return OutputSpec(
        tied=config.flag("tie_word_embeddings", True),
        bias=config.flag("decoder_bias", True),
        transform=OutputTransformSpec(
            activation=config.activation("classifier_activation", "gelu"),
            norm=_norm(config),
            bias=config.flag("classifier_bias", False),
        ),
    )


def _head(config: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    return ClassificationHeadSpec(
        num_labels=num_labels,
        pooling=config.choice("classifier_pooling", POOLINGS, "cls"),
        dense=True,
        dense_bias=config.flag("classifier_bias", False),
        activation=config.activation("classifier_activation", "gelu"),
        norm=_norm(config),
        dropout=config.probability("classifier_dropout"),
    )


MODERNBERT = Family(
    model_type="modernbert",
    architecture="ModernBertModel",
    spec=_spec,
    rules=always(
        Rule("embeddings.tok_embeddings.weight", "token_embedding.weight"),
        Rule("embeddings.norm.*", "encoder.embeddings.norm.*"),
        Rule("layers.{}.attn_norm.*", "encoder.layers.{}.self_attention_residual.norm_before.*"),
        Split(
            "layers.{}.attn.Wqkv.*",
            tuple(f"encoder.layers.{{}}.self_attention.{part}.*" for part in ("query", "key", "value")),
        ),
        Rule("layers.{}.attn.Wo.*", "encoder.layers.{}.self_attention.output.*"),
        Rule("layers.{}.mlp_norm.*", "encoder.layers.{}.feed_forward_residual.norm_before.*"),
        Split("layers.{}.mlp.Wi.*", ("encoder.layers.{}.feed_forward.gate.*", "encoder.layers.{}.feed_forward.up.*")),
        Rule("layers.{}.mlp.Wo.*", "encoder.layers.{}.feed_forward.down.*"),
        Rule("final_norm.*", "encoder.norm.*"),
    ),
    language_model=LanguageModel(
        "ModernBertForMaskedLM",
        _output,
        always(
            Rule("head.dense.*", "output.transform.dense.*"),
            Rule("head.norm.*", "output.transform.norm.*"),
            Rule("decoder.weight", "output.weight"),
            Rule("decoder.bias", "output.bias"),
        ),
        prefix="model.",
    ),
    classifier=Classifier(
        "ModernBertForSequenceClassification",
        _head,
        always(
            Rule("head.dense.*", "head.dense.*"),
            Rule("head.norm.*", "head.norm.*"),
            Rule("classifier.*", "head.output.*"),
        ),
        prefix="model.",
    ),
    ignored={
        **dict.fromkeys(("deterministic_flash_attn", "reference_compile", "repad_logits_with_grad"), _KERNELS),
        **dict.fromkeys(("sparse_prediction", "sparse_pred_ignore_index"), "leaves out tokens while training"),
        "initializer_cutoff_factor": "concerns training from scratch only",
        "layer_norm_eps": "left from BERT; norm_eps is what counts",
        "position_embedding_type": "left from BERT; positions are rotary",
    },
    refused=REFUSED_OPTIONS,
)
