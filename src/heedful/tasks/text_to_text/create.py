"""A new model from pairs of texts: tokenizer and network, or what a checkpoint brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import TypeVar

from heedful.checkpoint import Located
from heedful.data import Columns, ExampleStore
from heedful.errors import RecipeError, UnsupportedError
from heedful.model import Transformer, TransformerSpec, UniformSpec, build
from heedful.tasks.model_source import CheckpointSource, ModelSource, SpecSource, open_checkpoint
from heedful.tasks.text_to_text.load import load_text_to_text, text_to_text_of
from heedful.tasks.text_to_text.prompts import prompt_of
from heedful.tasks.text_to_text.search import fitted_settings
from heedful.tasks.text_to_text.settings import PAPER_SEARCH, TextToTextCard, TextToTextSettings
from heedful.tasks.text_to_text.task import TextToText
from heedful.text import Tokenizer, TokenizerSettings

T = TypeVar("T", bound=TextToText)


def text_to_text_job(kind: type[T]) -> tuple[Callable[..., T], Callable[..., T], Callable[..., T]]:
    """What makes a task of ``kind``: to be trained, from a folder of ours, and from a foreign checkpoint."""
    return create_text_to_text(kind), load_text_to_text(kind), text_to_text_of(kind)


def create_text_to_text(kind: type[T]) -> Callable[..., T]:
    """What makes a task of ``kind`` to be trained."""

    def create(
        settings: TextToTextSettings,
        tokenizer: TokenizerSettings | None,
        source: ModelSource,
        store: ExampleStore,
        columns: Columns,
        *,
        seed: int,
    ) -> T:
        """A model with fresh weights, or one that goes on from a checkpoint.

        Raises:
            RequestError: the model cannot be made, or cannot write.
        """
        if isinstance(source, CheckpointSource):
            task = _from_checkpoint(kind, source)
        else:
            task = _from_nothing(kind, settings, tokenizer or TokenizerSettings(), source, store, seed)
        limit = settings.max_target_length
        _check_length(task, settings.max_length, limit)
        task.card = task.card.model_copy(
            update={
                "job": kind.job,
                "columns": columns,
                "max_length": settings.max_length,
                "max_target_length": limit,
                "generation": fitted_settings(
                    task.card.generation, limit, settings.generation.model_dump(exclude_unset=True)
                ),
                "results": {},
                "prompt": prompt_of(task.job, task.model, task.tokenizer, settings.prompt or task.card.prompt),
            }
        )
        if settings.source_language or settings.target_language:
            task.set_languages(source=settings.source_language, target=settings.target_language)
        task.objective, task.validation_texts = settings.objective, settings.validation_texts
        return task

    return create


def _check_length(task: TextToText, max_length: int, max_target_length: int) -> None:
    limit, needed = task.model.max_positions, task.architecture.num_positions(max_length, max_target_length)
    if limit is not None and needed > limit:
        both = ", which reads the source and writes behind it" if task.model.encoder is None else ""
        raise RecipeError(
            f"texts of {needed} tokens are wanted, and the model takes {limit}{both}",
            remedy=f"Set task.max_length and task.max_target_length to {limit} or less{', together' if both else ''}.",
        )


def _from_checkpoint(kind: type[T], source: CheckpointSource) -> T:
    pretrained = open_checkpoint(source)
    if isinstance(pretrained, Located):
        task = load_text_to_text(kind)(pretrained.folder)
        task.revision = pretrained.revision
    else:
        task = text_to_text_of(kind)(pretrained)
    task.network.float()
    return task


def _from_nothing(
    kind: type[T],
    settings: TextToTextSettings,
    tokenizer: TokenizerSettings,
    source: ModelSource,
    store: ExampleStore,
    seed: int,
) -> T:
    shared = settings.shared_vocabulary
    languages = () if isinstance(source, SpecSource) and source.spec.encoder is None else store.languages()
    reader = Tokenizer.train(store.texts() if shared else store.sources(), tokenizer, languages=languages)
    writer = reader if shared else Tokenizer.train(store.targets(), tokenizer)
    longest = max(settings.max_length, settings.max_target_length)
    if isinstance(source, UniformSpec):
        written_size = None if shared else writer.vocabulary_size
        spec = source.encoder_decoder(
            reader.vocabulary_size, target_vocabulary_size=written_size, max_positions=longest
        )
    elif isinstance(source, SpecSource):
        spec = source.spec  # a decoder alone is welcome: it reads the text in a prompt
    else:
        raise UnsupportedError("a module of your own cannot write", remedy="Use layers that are all alike, or spec.")
    if spec.decoder is None or spec.output is None:
        raise RecipeError("the model has no decoder or no output, and cannot write")
    _check_vocabularies(spec, reader, writer)
    special = writer.special
    generation = PAPER_SEARCH.model_copy(
        update={
            "eos_token_id": (special.eos,),
            "decoder_start_token_id": special.bos,
            "suppress_tokens": _wordless(writer),
        }
    )
    card = TextToTextCard(
        job=kind.job,
        max_length=settings.max_length,
        max_target_length=settings.max_target_length,
        generation=generation,
        target_language=languages[0] if len(languages) == 1 else None,
    )
    model: Transformer = build(spec, seed=seed)
    return kind(model, reader, card, target_tokenizer=writer)


def _wordless(writer: Tokenizer) -> tuple[int, ...]:
    """Tokens that no target holds: written, they would stretch a text to a shortest length without a word."""
    special = {*astuple(writer.special), *map(writer.target_start, writer.languages)}
    return tuple(sorted(special - {None, writer.special.eos, writer.special.unk}))


def _check_vocabularies(spec: TransformerSpec, reader: Tokenizer, writer: Tokenizer) -> None:
    if (reader is writer) != (spec.target_vocabulary_size is None):
        raise RecipeError(
            "task.shared_vocabulary and model.spec.target_vocabulary_size contradict each other",
            remedy="Give the spec a target_vocabulary_size where the vocabulary is not shared, and only there.",
        )
    sizes = {"vocabulary_size": (reader, spec.vocabulary_size), "target_vocabulary_size": (writer, spec.written_size)}
    for name, (tokenizer, size) in sizes.items():
        if tokenizer.vocabulary_size > size:
            raise RecipeError(
                f"the tokenizer learnt {tokenizer.vocabulary_size:,} tokens, and the model has {size:,}",
                remedy=f"Give tokenizer.vocabulary_size and model.spec.{name} the same number.",
            )
