"""How much memory writing takes, estimated before it begins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from heedful.errors import RequestError
from heedful.generation.control_groups import memory_left
from heedful.generation.settings import GenerationSettings
from heedful.generation.slots import room_for
from heedful.model import Transformer

SCORE_COPIES = 4
"""Of the scores (beams × vocabulary) that are held at once while a token is chosen: logits, log-probabilities, sums."""
ENCODER_WIDTHS = 16
"""Model widths that the encoder holds at once for each token: its inner layer, queries, keys, values and their sums."""
FEW_SLOTS = 16
LITTLE = 2**24
"""Bytes for which the system is not asked: that takes longer than a token."""
PLENTY = 2**30
"""Bytes: more slots than a few are worth no more than so much."""
_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class MemoryEstimate:
    """What texts that are written side by side need, in bytes, beside the model itself."""

    cache: int
    """Keys and values of what the beams have written, and what each of them may see."""
    memory: int
    """Keys and values of the encoder's output, and what the encoder needs."""
    scores: int
    """Of every token of the vocabulary for every beam."""

    @property
    def total(self) -> int:
        """All together."""
        return self.cache + self.memory + self.scores


def estimate_memory(
    model: Transformer, settings: GenerationSettings, *, num_slots: int, source_length: int
) -> MemoryEstimate:
    """What ``num_slots`` texts take at most, if all of them become ``max_new_tokens`` long.

    Args:
        source_length: tokens of the longest source, or of the longest prompt of a model without encoder.
    """
    assert model.decoder is not None
    beams = settings.num_beams
    prompt = 0 if model.encoder is not None else source_length
    needed = settings.max_new_tokens * beams + prompt  # where beams have no token in common
    columns, width = room_for(needed, settings.step_width), settings.step_width
    size = model.token_embedding.weight.element_size()
    widths = sum(heads * width for heads, width in model.decoder.head_shapes)
    cache = 2 * size * widths * num_slots * columns + num_slots * columns * (2 * width + 8)
    spans = [shape for shape in model.decoder.memory_shapes if shape is not None]
    per_token = 2 * sum(heads * width for heads, width in spans) + ENCODER_WIDTHS * model.spec.d_model
    memory = size * num_slots * source_length * per_token
    scores = SCORE_COPIES * max(size, 4) * num_slots * width * model.spec.written_size
    return MemoryEstimate(cache, memory, scores)


def available_memory(device: torch.device) -> int | None:
    """Bytes that are free where the model is, and for a container if it is in one; None where nobody tells."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    sizes = (_available_memory_of_the_machine(), memory_left())
    return min((size for size in sizes if size is not None), default=None)


def _available_memory_of_the_machine() -> int | None:
    if _MEMINFO.is_file():
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def fitting_slots(
    model: Transformer,
    settings: GenerationSettings,
    *,
    num_slots: int,
    source_length: int,
    available: int | None = None,
) -> int:
    """How many texts can be written side by side: ``num_slots``, or fewer where memory is short or they take much.

    Args:
        source_length: of the longest text.
        available: bytes; what the model's device has free unless given.

    Raises:
        RequestError: there is not memory for a single one; the message has the figures.
    """
    device = model.token_embedding.weight.device
    needed = estimate_memory(model, settings, num_slots=num_slots, source_length=source_length)
    if available is None and needed.total <= LITTLE:
        return num_slots
    free = available if available is not None else available_memory(device)
    if free is None:
        return num_slots
    for count in range(num_slots, 0, -1):
        needed = estimate_memory(model, settings, num_slots=count, source_length=source_length)
        if needed.total <= (free if count <= FEW_SLOTS else min(free, PLENTY)):
            return count
    raise RequestError(
        f"a text of up to {settings.max_new_tokens:,} tokens with {settings.num_beams} beams and a vocabulary of "
        f"{model.spec.written_size:,} takes {_gigabytes(needed.total)} ({_gigabytes(needed.cache)} for what the "
        f"beams have written, {_gigabytes(needed.memory)} for what is read, {_gigabytes(needed.scores)} for scores), "
        f"and {_gigabytes(free)} are free on {device}",
        remedy="Lower num_beams or max_new_tokens.",
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB"
