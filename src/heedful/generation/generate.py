"""Generation for a batch of token ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from heedful.errors import RequestError, UnsupportedError
from heedful.generation.compiled import CompiledWriter
from heedful.generation.constrained import widened
from heedful.generation.engine import K, Request, SlotEngine
from heedful.generation.memory import fitting_slots
from heedful.generation.search import Hypothesis
from heedful.generation.settings import GenerationSettings
from heedful.inference import Plan, Workers, merge
from heedful.model import Transformer

NUM_SLOTS = 64
"""Texts that are written side by side: a step for many costs little more than one for few."""


def generate(
    model: Transformer,
    ids: Tensor,
    mask: Tensor | None = None,
    settings: GenerationSettings | None = None,
    *,
    num_slots: int = NUM_SLOTS,
) -> list[list[Hypothesis]]:
    """Write a text for each row of ids.

    Args:
        model: encoder and decoder, or a decoder; with an output.
        ids: (B, S) int64, what the encoder reads, or the prompt of a decoder.
        mask: (B, S) boolean, True at real tokens; all are unless given.
        num_slots: texts that are written side by side.

    Returns:
        For each row the best ``num_return_sequences`` hypotheses, best first.

    Raises:
        UnsupportedError: the model cannot write.
        RequestError: a row is empty, or the settings lack what the model needs.
    """
    settings = settings or GenerationSettings()
    if model.decoder is None or model.output is None:
        raise UnsupportedError("this model writes no text: it has no decoder with a language-model head")
    requests: list[Request[int]] = []
    for row, real in zip(ids, torch.ones_like(ids, dtype=torch.bool) if mask is None else mask, strict=True):
        tokens = tuple(row[real].tolist())
        if not tokens:
            raise RequestError(f"row {len(requests)} has no token to go by")
        requests.append(_request(len(requests), tokens, model, settings))
    was_training = model.training
    model.eval()
    try:
        answers = dict(write_all(model, requests, num_slots=num_slots))
    finally:
        model.train(was_training)
    return [answers[number] for number in range(len(requests))]


def write_all(
    model: Transformer,
    requests: Iterable[Request[K]],
    *,
    num_slots: int = NUM_SLOTS,
    compiled: CompiledWriter | None = None,
    workers: Workers | None = None,
) -> Iterator[tuple[K, list[Hypothesis]]]:
    """Write all texts, each as soon as it is complete; those with as many beams, and drafts as long, side by side.

    A text with phrases that must appear gets the beams that it needs, see :func:`widened`.

    Args:
        num_slots: texts that each worker writes side by side; fewer where a text has more beams than its settings say,
            or where memory is short.
        compiled: the same model, which reads in its place.
        workers: how many write at a time, of texts that they share; one by all threads unless said otherwise, or
            ``compiled`` reads side by side: calling PyTorch's operations is what no two threads can do at once.

    Raises:
        RequestError: there is not memory for a single text, see :func:`fitting_slots`; or one cannot be searched for.
    """
    workers = workers or Workers()
    groups: dict[tuple[int, int, int], list[Request[K]]] = defaultdict(list)
    for request in requests:
        settings = widened(request.settings, request.constraints)
        kind = settings.num_beams, request.settings.num_beams, settings.step_width
        groups[kind].append(replace(request, settings=settings))
    for (num_beams, asked, _), members in groups.items():
        chosen = workers if compiled and compiled.side_by_side else replace(workers, count=workers.count or 1)
        plan = chosen.plan(len(members))
        slots = fitting_slots(
            model,
            max((member.settings for member in members), key=lambda settings: settings.max_new_tokens),
            num_slots=min(max(1, num_slots * asked // num_beams) * plan.workers, len(members)),
            source_length=max(len(member.source or member.prompt) for member in members),
        )
        yield from merge(plan, partial(_write, model, iter(members), plan, slots, num_beams, compiled))


def _write(
    model: Transformer,
    waiting: Iterator[Request[K]],
    plan: Plan,
    num_slots: int,
    num_beams: int,
    compiled: CompiledWriter | None,
) -> Iterator[tuple[K, list[Hypothesis]]]:
    """What one of the plan's workers does, with its share of the slots."""
    engine: SlotEngine[K] = SlotEngine(
        model,
        num_slots=-(-num_slots // plan.workers),
        num_beams=num_beams,
        compiled=None if compiled is None else compiled.planned(plan),
    )
    yield from engine.run(waiting)


def _request(key: int, tokens: tuple[int, ...], model: Transformer, settings: GenerationSettings) -> Request[int]:
    if model.encoder is None:
        return Request(key, (), tokens, settings)
    if settings.decoder_start_token_id is None:
        raise RequestError(
            "the settings name no decoder_start_token_id, the token that a decoder beside an encoder reads first",
            remedy="It stands in the checkpoint's config.json or generation_config.json.",
        )
    return Request(key, tokens, (settings.decoder_start_token_id,), settings)
