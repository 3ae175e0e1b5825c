"""A Transformer whose layers are all alike, described by a handful of numbers: what a recipe holds."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator

from heedful.errors import SpecError
from heedful.model.spec import (
    Activation,
    AttentionSpec,
    FeedForwardSpec,
    Heads,
    InnerWidth,
    KeyValueHeads,
    Layers,
    LayerSpec,
    Length,
    NormPlacement,
    NormSpec,
    OutputSpec,
    Parallel,
    PointerSpec,
    Probability,
    SelfAttentionSpec,
    TransformerSpec,
    Width,
    parse_spec,
)
from heedful.settings import Settings


class PositionKind(StrEnum):
    """How a model knows the order of its tokens; the kinds of positions of the tree of specs."""

    SINUSOIDAL = "sinusoidal"
    LEARNED = "learned"
    ROTARY = "rotary"
    RELATIVE_BIAS = "relative_bias"
    ALIBI = "alibi"


class UniformSpec(Settings):
    """The same layer n times; ``encoder``, ``decoder`` and ``encoder_decoder`` write it out as a tree."""

    d_model: Width = Field(description="width of the model")
    num_layers: Layers = Field(description="layers of the encoder and of the decoder")
    decoder_layers: Layers | None = Field(default=None, description="layers of the decoder, if not num_layers")
    num_heads: Heads = Field(description="attention heads")
    num_kv_heads: KeyValueHeads | None = Field(default=None, description="key/value heads; num_heads unless given")
    head_dim: Width | None = Field(
        default=None, validate_default=True, description="width of a head; d_model / num_heads unless given"
    )
    d_ff: InnerWidth | None = Field(
        default=None, description="inner width of the feed-forward network; 4 · d_model unless given"
    )
    activation: Activation = Field(
        default=Activation.RELU, description="nonlinearity of the feed-forward network; gelu is exact"
    )
    gated: bool = Field(default=False, description="gate the feed-forward network (GLU)")
    bias: bool = Field(default=True, description="biases in feed-forward networks")
    attention_bias: bool = Field(default=True, description="biases in attention projections")
    norm: NormSpec = NormSpec()
    norm_placement: NormPlacement = Field(
        default=NormPlacement.PRE, description="before each slot, on the sum after it, or before and after the slot"
    )
    parallel: Parallel = Field(default=False, description="attention and feed-forward read the same input")
    positions: PositionKind | None = Field(
        default=PositionKind.SINUSOIDAL, validate_default=True, description="how the order of the tokens is known"
    )
    window: Length | None = Field(default=None, description="self-attention sees smaller distances only")
    scaled_embeddings: bool = Field(default=True, description="multiply token vectors by √d_model")
    tied_output: bool = Field(default=True, description="use the token embeddings as output weights")
    dropout: Probability = Field(default=0.1, description="of embeddings and of what each slot adds")
    attention_dropout: Probability = Field(default=0.0, description="of attention weights")
    pointer: PointerSpec | None = Field(
        default=None, description="lets the decoder copy tokens of the source; `{}` for one as wide as the model"
    )

    @field_validator("head_dim")
    @classmethod
    def _known(cls, value: int | None, info: ValidationInfo) -> int | None:
        d_model, heads = info.data.get("d_model"), info.data.get("num_heads")
        if value is None and d_model and heads and d_model % heads:
            raise ValueError(f"d_model {d_model} is not divisible by num_heads {heads}; give head_dim")
        return value

    @field_validator("positions")
    @classmethod
    def _even(cls, value: PositionKind | None, info: ValidationInfo) -> PositionKind | None:
        d_model, heads = info.data.get("d_model"), info.data.get("num_heads")
        if value is PositionKind.SINUSOIDAL and d_model and d_model % 2:
            raise ValueError(f"sinusoidal positions need an even d_model, not {d_model}")
        if value is PositionKind.ROTARY and d_model and heads and "head_dim" in info.data:
            head_dim = info.data["head_dim"] or d_model // heads
            if head_dim % 2:
                raise ValueError(f"rotary positions need an even head_dim, not {head_dim}")
        return value

    def encoder(
        self, vocabulary_size: int, *, max_positions: int | None = None, num_token_types: int = 0
    ) -> TransformerSpec:
        """An encoder, e.g. for classification.

        Args:
            vocabulary_size: V.
            max_positions: the longest text in tokens, which learned positions must know.
            num_token_types: segments of a text pair; 0 for none.

        Raises:
            SpecError: a size is out of bounds, or learned positions lack ``max_positions``.
        """
        embeddings = self._embeddings(max_positions, num_token_types=num_token_types)
        return self._spec(vocabulary_size, encoder=self._stack(self.num_layers, embeddings))

    def decoder(self, vocabulary_size: int, *, max_positions: int | None = None) -> TransformerSpec:
        """A decoder without an encoder: a language model. Arguments and errors as for ``encoder``."""
        stack = self._stack(self.decoder_layers or self.num_layers, self._embeddings(max_positions))
        return self._spec(vocabulary_size, decoder=stack, output=OutputSpec(tied=self.tied_output))

    def encoder_decoder(
        self, vocabulary_size: int, *, target_vocabulary_size: int | None = None, max_positions: int | None = None
    ) -> TransformerSpec:
        """Encoder and decoder over one vocabulary, or over one each. Arguments and errors as for ``encoder``."""
        embeddings = self._embeddings(max_positions)
        return self._spec(
            vocabulary_size,
            encoder=self._stack(self.num_layers, embeddings),
            decoder=self._stack(self.decoder_layers or self.num_layers, embeddings, crossing=True),
            output=OutputSpec(tied=self.tied_output),
            target_vocabulary_size=target_vocabulary_size,
        )

    def _spec(self, vocabulary_size: int, **parts: object) -> TransformerSpec:
        return parse_spec(
            {"vocabulary_size": vocabulary_size, "d_model": self.d_model, "pointer": self.pointer, **parts}
        )

    def _embeddings(self, max_positions: int | None, *, num_token_types: int = 0) -> dict[str, object]:
        positions: dict[str, object] | None = None
        if self.positions is PositionKind.LEARNED:
            if max_positions is None:
                raise SpecError("learned positions have no length", remedy="Give max_positions.")
            positions = {"kind": self.positions, "max_positions": max_positions}
        elif self.positions is PositionKind.SINUSOIDAL:
            positions = {"kind": self.positions}
        return {
            "scaled": self.scaled_embeddings,
            "positions": positions,
            "num_token_types": num_token_types,
            "dropout": self.dropout,
        }

    def _stack(self, num_layers: int, embeddings: dict[str, object], *, crossing: bool = False) -> dict[str, object]:
        absolute = self.positions in (None, PositionKind.SINUSOIDAL, PositionKind.LEARNED)
        return {
            "embeddings": embeddings,
            "layers": (self._layer(crossing=crossing),) * num_layers,
            "positions": None if absolute else {"kind": self.positions},
            "norm": None if self.norm_placement is NormPlacement.POST else self.norm,
        }

    def _layer(self, *, crossing: bool) -> LayerSpec:
        attention = AttentionSpec(
            num_heads=self.num_heads,
            head_dim=self.head_dim or self.d_model // self.num_heads,
            num_kv_heads=self.num_kv_heads,
            bias=self.attention_bias,
            dropout=self.attention_dropout,
        )
        return LayerSpec(
            self_attention=SelfAttentionSpec(**attention.model_dump(), window=self.window),
            cross_attention=attention if crossing else None,
            feed_forward=FeedForwardSpec(
                d_ff=self.d_ff or 4 * self.d_model,
                activation=self.activation,
                gated=self.gated,
                bias=self.bias,
            ),
            norm=self.norm,
            norm_placement=self.norm_placement,
            parallel=self.parallel,
            dropout=self.dropout,
        )
