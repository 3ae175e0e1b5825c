"""What a new classifier starts from: a model and a tokenizer, before it has labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from heedful.errors import SpecError
from heedful.model import ClassificationHeadSpec, Pooling, Transformer, TransformerSpec, UniformSpec, build
from heedful.tasks.model_source import ModuleSource, SpecSource
from heedful.tasks.own_module import ModuleSpec, TextEncoder, make_module
from heedful.text import Tokenizer, TokenizerSettings

HEAD_DROPOUT = 0.1


@dataclass(frozen=True)
class Start:
    """A model with its tokenizer, and what else is known of it."""

    model: TextEncoder
    tokenizer: Tokenizer
    head: ClassificationHeadSpec
    """The head that suits the model; the number of labels is still to come."""
    head_weights: Mapping[str, Tensor] = field(default_factory=dict)
    """What there is of such a head already, by its names."""
    labels: tuple[str, ...] = ()
    """Of the head, if it was trained to its end."""
    decoder_start: int | None = None
    module: ModuleSpec | None = None
    origin: Mapping[str, Any] | None = None
    revision: str | None = None
    """The commit of the Hub that was read."""


def start_fresh(
    source: UniformSpec | SpecSource | ModuleSource,
    texts: Iterable[str],
    settings: TokenizerSettings,
    *,
    max_length: int,
    reads_pairs: bool,
    seed: int,
) -> Start:
    """A model with fresh weights, and a tokenizer trained on ``texts``.

    Raises:
        SpecError: a spec that is written out has too small a vocabulary.
        RequestError: a module of the user's own fails.
    """
    tokenizer = Tokenizer.train(texts, settings)
    if isinstance(source, ModuleSource):
        made, module = make_module(source.file, source.factory, source.arguments, tokenizer.vocabulary_size, seed=seed)
        return Start(made, tokenizer, usual_head(made), module=module)
    if isinstance(source, SpecSource):
        spec = _fitting(source.spec, tokenizer)
    else:
        types = 2 if reads_pairs else 0
        spec = source.encoder(tokenizer.vocabulary_size, max_positions=max_length, num_token_types=types)
    model = build(spec, seed=seed)
    return Start(model, tokenizer, usual_head(model), decoder_start=tokenizer.special.bos)


def usual_head(model: TextEncoder) -> ClassificationHeadSpec:
    """The head of a model that brings none: the mean of its states, or the last one of a decoder."""
    reads_last = isinstance(model, Transformer) and model.decoder is not None
    return ClassificationHeadSpec(
        num_labels=1, pooling=Pooling.LAST if reads_last else Pooling.MEAN, dropout=HEAD_DROPOUT
    )


def _fitting(spec: TransformerSpec, tokenizer: Tokenizer) -> TransformerSpec:
    if tokenizer.vocabulary_size > spec.vocabulary_size:
        raise SpecError(
            f"the tokenizer learnt {tokenizer.vocabulary_size:,} tokens, "
            f"and model.spec.vocabulary_size is {spec.vocabulary_size:,}",
            remedy="Give tokenizer.vocabulary_size and model.spec.vocabulary_size the same number.",
        )
    return spec
