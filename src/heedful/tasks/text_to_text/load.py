"""Translators and summarizers from folders of ours, and from checkpoints that others trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from heedful.checkpoint import TASK_FILE, read_config, read_json, read_network, read_spec
from heedful.errors import CheckpointError
from heedful.families import Pretrained
from heedful.generation import read_generation_config
from heedful.model import build
from heedful.settings import parse
from heedful.tasks.text_to_text.settings import TextToTextCard
from heedful.tasks.text_to_text.task import TextToText
from heedful.text import Side, Tokenizer

T = TypeVar("T", bound=TextToText)
GENERATION_FILE = "generation_config.json"
USUAL_LENGTH = 512
"""Tokens of a text where neither the model nor its tokenizer has a limit."""


def load_text_to_text(kind: type[T]) -> Callable[..., T]:
    """What reads a folder of ours as a task of ``kind``."""

    def load(folder: Path, *, allow_code: str | Path | None = None) -> T:  # noqa: ARG001 - as for every job
        """
        Raises:
            CheckpointError: a file is missing or does not fit the others.
        """
        card = parse(TextToTextCard, read_json(folder / TASK_FILE), name=str(folder / TASK_FILE), error=CheckpointError)
        spec = read_spec(folder)
        with torch.device("meta"):
            model = build(spec)
        source, target = _tokenizers(folder, spec.vocabulary_size)
        task = kind(model, source, card, target_tokenizer=target)
        task.origin = read_config(folder).get("origin")
        read_network(folder, task.network)
        task.network.eval()
        return task

    return load


def text_to_text_of(kind: type[T]) -> Callable[..., T]:
    """What makes a task of ``kind`` of a foreign checkpoint."""

    def adopt(pretrained: Pretrained, *, dtype: torch.dtype | None = None) -> T:
        """
        Raises:
            CheckpointError: it cannot write, or its files do not fit each other.
        """
        folder, spec = pretrained.located.folder, pretrained.spec
        if spec.encoder is None or spec.decoder is None or spec.output is None:
            raise CheckpointError(
                f"{folder} holds a model of the family {pretrained.family.model_type} that does not read a text with "
                "an encoder and write another with a decoder",
                remedy="Take an encoder–decoder with a language-model head, such as Marian, BART or T5.",
            )
        model = pretrained.load_model(dtype=dtype)
        source, target = _tokenizers(folder, spec.vocabulary_size)
        said = dict(pretrained.config)
        if (folder / GENERATION_FILE).is_file():
            said |= read_json(folder / GENERATION_FILE)
        generation = read_generation_config(said, name=str(folder))
        if generation.decoder_start_token_id is None or not generation.eos_token_id:
            raise CheckpointError(
                f"{folder} names no decoder_start_token_id or no eos_token_id",
                remedy="Add them to config.json: the documentation of the model says which they are.",
            )
        length = model.max_positions or USUAL_LENGTH
        prefix = next((text for name, text in source.prefixes.items() if name == kind.job), "")
        card = TextToTextCard(
            job=kind.job,
            max_length=length,
            max_target_length=min(length, USUAL_LENGTH),
            generation=generation,
            prefix=prefix,
        )
        task = kind(model, source, card, target_tokenizer=target)
        task.origin = _origin(pretrained)
        task.revision = pretrained.located.revision
        task.notes = pretrained.notes
        task.network.eval()
        return task

    return adopt


def _tokenizers(folder: Path, vocabulary_size: int) -> tuple[Tokenizer, Tokenizer]:
    source, target = Tokenizer.load(folder), Tokenizer.load(folder, side=Side.TARGET)
    for tokenizer in (source, target):
        if tokenizer.vocabulary_size > vocabulary_size:
            raise CheckpointError(
                f"a tokenizer in {folder} knows {tokenizer.vocabulary_size:,} tokens, the model {vocabulary_size:,}",
                remedy="Take all files from the same model.",
            )
    return source, target


def _origin(pretrained: Pretrained) -> dict[str, Any]:
    return {"family": pretrained.family.model_type, "config": dict(pretrained.config)}
