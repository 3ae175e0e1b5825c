"""What a Transformer is made of, as data: a tree of small frozen specs that reads and writes JSON.

A spec may come from a stranger's file: unknown keys are refused, every size has a limit, and all faults of a
tree are reported at once. Nothing here imports PyTorch; ``heedful.model.build`` turns a spec into modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from heedful.errors import SpecError
from heedful.model.structure import MAX_LAYERS, structural_faults
from heedful.settings import Settings, parse

Width = Annotated[int, Field(gt=0, le=2**16)]
InnerWidth = Annotated[int, Field(gt=0, le=2**20)]
Heads = Annotated[int, Field(gt=0, le=2**10)]
Length = Annotated[int, Field(gt=0, le=2**24)]
VocabularySize = Annotated[int, Field(gt=0, le=2**24)]
Layers = Annotated[int, Field(gt=0, le=MAX_LAYERS)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Offset = Annotated[int, Field(ge=0, le=2**16)]
Distance = Annotated[int, Field(ge=2, le=2**16)]
Factor = Annotated[float, Field(ge=1, le=1e6)]


class Activation(StrEnum):
    """Nonlinearity of a feed-forward network or head; ``gelu`` is exact, ``gelu_tanh`` approximates it."""

    RELU = "relu"
    GELU = "gelu"
    GELU_TANH = "gelu_tanh"
    SILU = "silu"
    TANH = "tanh"


class NormKind(StrEnum):
    """LayerNorm (Ba et al. 2016) or RMSNorm (Zhang and Sennrich 2019)."""

    LAYER = "layer"
    RMS = "rms"


class NormPlacement(StrEnum):
    """Before a slot, on the sum after it, before and after it inside the residual connection, or nowhere."""

    PRE = "pre"
    POST = "post"
    SANDWICH = "sandwich"
    NONE = "none"


class Pooling(StrEnum):
    """Which hidden states stand for a text: the mean of all, the first or the last, padding left out."""

    MEAN = "mean"
    FIRST = "first"
    LAST = "last"


def _divides_heads(value: int, info: ValidationInfo) -> int:
    heads = info.data.get("num_heads")
    if heads and heads % value:
        raise ValueError(f"num_heads {heads} is not divisible by num_kv_heads {value}")
    return value


def _has_no_post_norm(value: bool, info: ValidationInfo) -> bool:
    if value and info.data.get("norm_placement") is NormPlacement.POST:
        raise ValueError("parallel slots need norm_placement pre or sandwich, not post")
    return value


KeyValueHeads = Annotated[Heads, AfterValidator(_divides_heads)]
"""For a field after ``num_heads``."""
Parallel = Annotated[bool, AfterValidator(_has_no_post_norm)]
"""For a field after ``norm_placement``."""


class SinusoidalSpec(Settings):
    """Fixed sines and cosines added to the embeddings (Vaswani et al. 2017, §3.5)."""

    kind: Literal["sinusoidal"] = "sinusoidal"
    halves: bool = Field(default=False, description="all sines first, then all cosines, instead of in turn")
    inclusive: bool = Field(default=False, description="the slowest wave is exactly 1/base, as in tensor2tensor")
    offset: Offset = Field(default=0, description="number of the first position")
    max_positions: Length | None = Field(default=None, description="the longest text, in tokens; any unless given")


class LearnedSpec(Settings):
    """One learned vector a position, added to the embeddings."""

    kind: Literal["learned"] = "learned"
    max_positions: Length = Field(description="the longest text, in tokens")
    offset: Offset = Field(default=0, description="rows of the table before that of the first position")


class LinearScalingSpec(Settings):
    """Positions divided by a factor (Chen et al. 2023, §2.3)."""

    kind: Literal["linear"] = "linear"
    factor: Factor


class YarnScalingSpec(Settings):
    """Slow rotary frequencies divided by a factor, fast ones kept (Peng et al. 2023)."""

    kind: Literal["yarn"] = "yarn"
    factor: Factor
    original_max_positions: Length
    beta_fast: float = Field(default=32.0, gt=0, le=1e6)
    beta_slow: float = Field(default=1.0, gt=0, le=1e6)
    magnitude: float | None = Field(
        default=None, gt=0, le=1e6, description="of turned heads; 0.1 ln factor + 1 if not given"
    )
    truncate: bool = True


class Llama3ScalingSpec(Settings):
    """Long waves stretched by a factor, short ones kept (Grattafiori et al. 2024; Llama 3.1)."""

    kind: Literal["llama3"] = "llama3"
    factor: Factor
    low_frequency_factor: float = Field(gt=0, le=1e6)
    high_frequency_factor: float = Field(gt=0, le=1e6)
    original_max_positions: Length

    @field_validator("high_frequency_factor")
    @classmethod
    def _above_low(cls, value: float, info: ValidationInfo) -> float:
        low = info.data.get("low_frequency_factor", 0.0)
        if value <= low:
            raise ValueError(f"must exceed low_frequency_factor {low:g}")
        return value


RotaryScalings = Annotated[LinearScalingSpec | YarnScalingSpec | Llama3ScalingSpec, Field(discriminator="kind")]


class RotarySpec(Settings):
    """Queries and keys turned by their position (Su et al. 2021)."""

    kind: Literal["rotary"] = "rotary"
    base: float = Field(default=10_000.0, gt=1, le=1e12, description="the angles' base θ")
    width: Width | None = Field(
        default=None, multiple_of=2, description="columns of a head that are turned; all unless given"
    )
    scaling: RotaryScalings | None = Field(default=None, description="of the frequencies, for longer texts")
    max_positions: Length | None = Field(default=None, description="the longest text, in tokens; any unless given")


class RelativeBiasSpec(Settings):
    """A learned bias for each head and bucket of distance (Raffel et al. 2020; T5)."""

    kind: Literal["relative_bias"] = "relative_bias"
    num_buckets: int = Field(default=32, ge=4, le=2**16, multiple_of=2)
    max_distance: Length = Field(default=128, description="distances from here on share the last bucket")

    @field_validator("max_distance")
    @classmethod
    def _beyond_exact_buckets(cls, value: int, info: ValidationInfo) -> int:
        exact = info.data.get("num_buckets", 0) // 2
        if value <= exact:
            raise ValueError(f"max_distance {value} must exceed num_buckets / 2 = {exact}")
        return value


class AlibiSpec(Settings):
    """A fixed penalty that grows with distance (Press et al. 2022)."""

    kind: Literal["alibi"] = "alibi"


class NormSpec(Settings):
    """A norm over the width of the model."""

    kind: NormKind = Field(default=NormKind.LAYER, description="LayerNorm or RMSNorm")
    epsilon: float = Field(default=1e-5, gt=0, le=1, description="added to the variance or mean square")
    bias: bool = Field(default=True, description="of LayerNorm; RMSNorm has none")
    unit_offset: bool = Field(default=False, description="RMSNorm multiplies by 1 + weight instead of weight")

    @field_validator("unit_offset")
    @classmethod
    def _of_rms(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("kind") is not NormKind.RMS:
            raise ValueError("unit_offset needs kind: rms")
        return value


class DisentangledSpec(Settings):
    """What a token says and where it stands, scored apart (He et al. 2021; DeBERTa)."""

    kind: Literal["disentangled"] = "disentangled"
    max_distance: Distance = Field(description="distances from here on share a vector")
    num_buckets: int | None = Field(
        default=None, ge=4, le=2**16, description="on either side; one a distance unless given"
    )
    content_to_position: bool = True
    position_to_content: bool = True
    shared_projections: bool = Field(default=False, description="positions use the projections of content")
    norm: NormSpec | None = Field(default=None, description="of the vectors of relative positions")

    @field_validator("num_buckets")
    @classmethod
    def _within_distance(cls, value: int | None, info: ValidationInfo) -> int | None:
        farthest = info.data.get("max_distance")
        if value is not None and farthest is not None and farthest <= value // 2 + 1:
            raise ValueError(f"{value} need a max_distance above {value // 2 + 1}, not {farthest}")
        return value


AbsolutePositions = Annotated[SinusoidalSpec | LearnedSpec, Field(discriminator="kind")]
RelativePositions = Annotated[RotarySpec | RelativeBiasSpec | AlibiSpec | DisentangledSpec, Field(discriminator="kind")]


class AttentionSpec(Settings):
    """Multi-head attention; as a cross-attention slot, over the encoder's output."""

    num_heads: Heads
    head_dim: Width
    num_kv_heads: KeyValueHeads | None = Field(default=None, description="key/value heads; num_heads unless given")
    bias: bool = True
    output_bias: bool | None = Field(default=None, description="of the output; as bias unless given")
    scale: float | None = Field(default=None, gt=0, le=1e3, description="of the scores; 1/√head_dim unless given")
    soft_cap: float | None = Field(default=None, gt=0, le=1e6, description="c: scores become c · tanh(score / c)")
    query_key_norm: NormSpec | None = Field(default=None, description="of each head of queries and keys")
    dropout: Probability = Field(default=0.0, description="of attention weights")


class SelfAttentionSpec(AttentionSpec):
    """Multi-head attention among the tokens of a text."""

    rotary: RotarySpec | None = Field(default=None, description="in this layer, in place of the stack's positions")
    window: Length | None = Field(default=None, description="sees tokens at a smaller distance only; all unless given")


class FeedForwardSpec(Settings):
    """The position-wise feed-forward network."""

    d_ff: InnerWidth
    activation: Activation = Activation.RELU
    gated: bool = False
    bias: bool = True
    dropout: Probability = Field(default=0.0, description="of inner states")


Slot = Literal["self_attention", "cross_attention", "feed_forward"]


class LayerSpec(Settings):
    """A layer: its slots (an empty one is the identity) and what surrounds each filled one."""

    self_attention: SelfAttentionSpec | None = None
    cross_attention: AttentionSpec | None = None
    feed_forward: FeedForwardSpec | None = None
    norm: NormSpec = NormSpec()
    norm_placement: NormPlacement = NormPlacement.PRE
    without_norm: tuple[Slot, ...] = Field(default=(), description="slots that stand without norms")
    parallel: Parallel = Field(default=False, description="all slots read the layer's input; their outputs are added")
    dropout: Probability = Field(default=0.0, description="of what each slot adds")


class EmbeddingSpec(Settings):
    """What a stack makes of token vectors before its first layer."""

    scaled: bool = Field(default=False, description="multiply token vectors by √d_model")
    positions: AbsolutePositions | None = None
    num_token_types: int = Field(default=0, ge=0, le=2**10, description="segments of a text pair; 0 for none")
    norm: NormSpec | None = Field(default=None, description="of the sum")
    dropout: Probability = 0.0


class StackSpec(Settings):
    """An encoder or a decoder."""

    embeddings: EmbeddingSpec = EmbeddingSpec()
    layers: tuple[LayerSpec, ...]
    positions: RelativePositions | None = Field(default=None, description="seen by every self-attention")
    norm: NormSpec | None = Field(default=None, description="after the last layer")
    order: Annotated[tuple[int, ...], Field(max_length=MAX_LAYERS)] | None = Field(
        default=None, description="layers to run, by number from 0, some perhaps several times; each once unless given"
    )

    @field_validator("order")
    @classmethod
    def _known_layers(cls, value: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        count = len(info.data.get("layers", ()))
        if value is not None and count and set(value) != set(range(count)):
            raise ValueError(f"must name each of the layers 0 to {count - 1} at least once, and no other")
        return value

    @field_validator("layers", mode="before")
    @classmethod
    def _counted(cls, value: object) -> object:
        """Count before any layer is looked at, since there may be millions."""
        if isinstance(value, list | tuple) and not 0 < len(value) <= MAX_LAYERS:
            raise ValueError(f"1 to {MAX_LAYERS} layers are possible, not {len(value)}")
        return value


class OutputTransformSpec(Settings):
    """norm(activation(dense(x))) before the output, as masked language models have it."""

    activation: Activation = Activation.GELU
    norm: NormSpec = NormSpec()
    bias: bool = True


class OutputSpec(Settings):
    """The language-model head."""

    tied: bool = Field(default=True, description="use the token embeddings as output weights")
    bias: bool = False
    transform: OutputTransformSpec | None = None
    scaled: bool = Field(default=False, description="multiply hidden states by 1/√d_model (T5 1.0)")
    soft_cap: float | None = Field(default=None, gt=0, le=1e6, description="c: logits become c · tanh(logit / c)")


class PointerSpec(Settings):
    """What lets a decoder copy tokens of the source (See et al. 2017)."""

    head_dim: Width | None = Field(default=None, description="of its one attention head; d_model unless given")


class TransformerSpec(Settings):
    """A whole model: encoder-only, decoder-only or both, around one vocabulary or, of both, one each."""

    vocabulary_size: VocabularySize
    target_vocabulary_size: VocabularySize | None = Field(
        default=None, description="of a decoder with tokens of its own; both stacks have the same unless given"
    )
    d_model: Width
    embedding_width: Width | None = Field(
        default=None, description="of the token vectors, and a linear map to d_model; d_model, and none, unless given"
    )
    encoder: StackSpec | None = None
    decoder: StackSpec | None = None
    output: OutputSpec | None = Field(default=None, description="none for a model that writes no text")
    pointer: PointerSpec | None = Field(default=None, description="none for a model that copies nothing")

    @property
    def written_size(self) -> int:
        """V of what the decoder reads and writes."""
        return self.target_vocabulary_size or self.vocabulary_size

    @model_validator(mode="wrap")
    @classmethod
    def _report_structure_too(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Check what concerns several parts even where single parts are at fault: one message has all."""
        try:
            spec = handler(data)
        except ValidationError as caught:
            if not isinstance(data, Mapping):
                raise
            tree, faults = data, [_raised_again(error) for error in caught.errors(include_url=False)]
        else:
            tree, faults = spec.model_dump(), []
        faults += [
            InitErrorDetails(type="value_error", loc=path, input=None, ctx={"error": ValueError(message)})
            for path, message in structural_faults(tree)
        ]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return spec


class ClassificationHeadSpec(Settings):
    """From a text's hidden states to one logit a label."""

    num_labels: int = Field(ge=1, le=2**20)
    pooling: Pooling = Pooling.MEAN
    dense: bool = Field(default=False, description="a linear layer and activation before the last one")
    dense_bias: bool = True
    activation: Activation = Activation.TANH
    norm: NormSpec | None = Field(default=None, description="after the activation of the dense layer")
    bias: bool = Field(default=True, description="of the last layer")
    dropout: Probability = 0.0


def parse_spec(data: object) -> TransformerSpec:
    """Read a model's spec from JSON-like data.

    Raises:
        SpecError: the message lists every fault with its dotted path.
    """
    return parse(TransformerSpec, data, name="the model's spec", error=SpecError)


def _raised_again(error: ErrorDetails) -> InitErrorDetails:
    return InitErrorDetails(type=error["type"], loc=error["loc"], input=error["input"], ctx=error.get("ctx", {}))
