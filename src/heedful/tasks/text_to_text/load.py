"""Translators and summarizers from folders of ours, and from checkpoints that others trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, get_args

import torch

from heedful.checkpoint import TASK_FILE, read_config, read_json, read_network, read_spec
from heedful.errors import CheckpointError
from heedful.families import Pretrained
from heedful.generation import GenerationSettings, read_generation_config
from heedful.model import Transformer, TransformerSpec, build
from heedful.model.skeleton import skeleton
from heedful.settings import parse
from heedful.tasks.model_files import GENERATION_FILE, check_vocabulary
from heedful.tasks.text_to_text.prompts import prompt_of
from heedful.tasks.text_to_text.search import fitted_settings
from heedful.tasks.text_to_text.settings import TextToTextCard
from heedful.tasks.text_to_text.task import TextToText
from heedful.text import Side, Tokenizer

T = TypeVar("T", bound=TextToText)
USUAL_LENGTH = 512
"""Tokens of a text where neither the model nor its tokenizer has a limit."""


def load_text_to_text(kind: type[T]) -> Callable[..., T]:
    """What reads a folder of ours as a task of ``kind``."""

    def load(folder: Path, *, allow_code: str | Path | None = None) -> T:  # noqa: ARG001 - as for every job
        """
        Raises:
            CheckpointError: a file is missing or does not fit the others.
        """
        data = read_json(folder / TASK_FILE)
        if data.get("job") not in get_args(TextToTextCard.model_fields["job"].annotation):
            raise CheckpointError(
                f"{folder} was trained for {data.get('job')!a:.40}, and writes no text",
                remedy="Take a run of translation or summarization, or a foreign checkpoint that writes.",
            )
        card = parse(TextToTextCard, data, name=str(folder / TASK_FILE), error=CheckpointError)
        spec = read_spec(folder)
        with skeleton():
            model = build(spec)
        sides = _tokenizers(folder, spec)
        task = kind(model, sides[Side.SOURCE], card, target_tokenizer=sides.get(Side.TARGET))
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
        if spec.decoder is None or spec.output is None:
            raise CheckpointError(
                f"{folder} holds a model of the family {pretrained.family.model_type} that writes no text: it has no "
                "decoder with a language-model head",
                remedy="Take a model such as Marian, BART or T5, or a language model such as GPT-2 or LLaMA.",
            )
        sides = _tokenizers(folder, spec)
        source = sides[Side.SOURCE]
        model = pretrained.load_model(dtype=dtype)
        max_length, max_target_length = _lengths(model)
        card = TextToTextCard(
            job=kind.job,
            max_length=max_length,
            max_target_length=max_target_length,
            generation=_generation(pretrained, kind.job, max_target_length),
            prefix=source.prefixes.get(kind.job, ""),
            prompt=prompt_of(kind.job, model, source),
        )
        task = kind(model, source, card, target_tokenizer=sides.get(Side.TARGET))
        task.origin = pretrained.origin
        task.revision = pretrained.located.revision
        task.notes = (*pretrained.notes, *_untold(kind.job, source))
        task.network.eval()
        return task

    return adopt


def _tokenizers(folder: Path, spec: TransformerSpec) -> dict[Side, Tokenizer]:
    sides = Tokenizer.load_sides(folder)
    if spec.target_vocabulary_size is not None and len(sides) == 1:
        raise CheckpointError(
            f"the model in {folder} has a vocabulary of its own for what it writes, and there is no tokenizer of it",
            remedy=f"Add {Side.TARGET.file}, or all the tokenizer's files of the checkpoint.",
        )
    for side, tokenizer in sides.items():
        known = spec.vocabulary_size if side is Side.SOURCE else spec.written_size
        check_vocabulary(tokenizer, known, folder, name=f"{side} tokenizer")
    return sides


def _lengths(model: Transformer) -> tuple[int, int]:
    """Tokens of a source and of what is written; a decoder alone has its positions for both together."""
    limit = model.max_positions
    written = min(limit or USUAL_LENGTH, USUAL_LENGTH)
    if model.encoder is not None:
        return limit or USUAL_LENGTH, written
    written = min(written, (limit or 2 * USUAL_LENGTH) // 2)
    return (limit or 2 * USUAL_LENGTH) - written, written


def _generation(pretrained: Pretrained, job: str, longest: int) -> GenerationSettings:
    """How the checkpoint's files say that it writes: of several the most particular one is right."""
    folder, config = pretrained.located.folder, pretrained.config
    said = dict(config)
    if (folder / GENERATION_FILE).is_file():
        said |= read_json(folder / GENERATION_FILE)
    of_jobs = config.get("task_specific_params")
    of_job = of_jobs.get(job) if isinstance(of_jobs, Mapping) else None
    if isinstance(of_job, Mapping):
        said |= of_job
    needed = ["decoder_start_token_id", "eos_token_id"]
    if pretrained.spec.encoder is None:
        # Its lengths count the prompt, and its files say how it converses, at random: a job is done the best way.
        said = {key: value for key, value in said.items() if key not in ("max_length", "min_length", "do_sample")}
        needed.remove("decoder_start_token_id")
    generation = read_generation_config(said, name=str(folder))
    missing = [name for name in needed if getattr(generation, name) in (None, ())]
    if missing:
        raise CheckpointError(
            f"{folder} names no {' and no '.join(missing)}",
            remedy="Add what is missing to config.json: the documentation of the model says which token it is.",
        )
    return fitted_settings(generation, longest)


def _untold(job: str, tokenizer: Tokenizer) -> tuple[str, ...]:
    """What its user has yet to choose."""
    pairs = [task for task in tokenizer.prefixes if task.startswith(f"{job}_")]
    if not tokenizer.languages and not pairs:
        return ()
    known = f"{len(tokenizer.languages)} languages" if tokenizer.languages else ", ".join(pairs)
    return (f"the model knows {known}; choose with set_languages",)
