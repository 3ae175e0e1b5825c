"""What a model says of finished answers: probabilities of their tokens, and where it looked while it wrote them.

B answers, T tokens of an answer, R tokens of what is read, H heads, K head width.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heedful.inference import batches_of
from heedful.model import Transformer
from heedful.nn import Copies, CrossAttention, Layer, SelfAttention
from heedful.nn.watching import Look, watching

MAX_CELLS = 2048
"""Tokens and padding, of both sides, that are read at a time."""
MAX_LOGITS = 2**24
"""Numbers of (tokens × vocabulary) that are held at a time."""


@dataclass(frozen=True)
class Finished:
    """An answer, and what the model read before it."""

    source: tuple[int, ...]
    """What the encoder read; nothing for a model without one."""
    prompt: tuple[int, ...]
    """What the decoder read first."""
    tokens: tuple[int, ...]
    """What it then wrote, the end token included."""

    @property
    def read(self) -> tuple[int, ...]:
        """What the answer is an answer to, R tokens."""
        return self.source or self.prompt


@dataclass(frozen=True)
class Reading:
    """What one pass over an answer shows."""

    log_probabilities: NDArray[np.float64]
    """(T,), of each token, given the source and the tokens before it."""
    attention: tuple[NDArray[np.float32], ...]
    """(H, T, R) for each layer that was watched: what each token looked at when it was to be written."""


@torch.inference_mode()
def read_answers(
    model: Transformer, answers: Sequence[Finished], *, layers: Collection[int] | None = None
) -> Iterator[tuple[int, Reading]]:
    """Read answers once more, all tokens at a time.

    Args:
        model: encoder and decoder, whose cross-attention is watched; or a decoder, whose self-attention is, as far as
            it goes to the prompt.
        layers: those to be watched, counted from 0 in the order they are run; all unless given.

    Yields:
        The number of each answer and its reading, from the longest to the shortest: no more readings are held than are
        made at once.
    """
    was_training = model.training
    model.eval()
    lengths = [len(answer.source) + len(answer.prompt) + len(answer.tokens) for answer in answers]
    try:
        for rows in batches_of(lengths, MAX_CELLS):
            batch = [answers[row] for row in rows]
            yield from zip(rows.tolist(), _read_batch(model, batch, layers), strict=True)
    finally:
        model.train(was_training)


def _read_batch(model: Transformer, answers: Sequence[Finished], layers: Collection[int] | None) -> Iterator[Reading]:
    device = model.token_embedding.weight.device
    ids, _ = _padded([(*answer.prompt, *answer.tokens[:-1]) for answer in answers], device)
    memory, memory_mask, copied = None, None, None
    if model.encoder is not None:
        source_ids, memory_mask = _padded([answer.source for answer in answers], device)
        memory = model.encode(source_ids, memory_mask)
        copied = model.copy_source(source_ids, memory, memory_mask)
    with watched_attention(model, layers) as watched:
        hidden = model.decode(ids, memory, memory_mask)
    places = [slice(len(a.prompt) - 1, len(a.prompt) - 1 + len(a.tokens)) for a in answers]
    rows = [
        torch.cat([states[row, place] for row, place in enumerate(places)])
        for states in (hidden, *(model.copies(hidden, copied) or ()))
    ]
    tokens = torch.tensor([token for answer in answers for token in answer.tokens], device=device)
    scores = np.split(_log_probabilities(model, tokens, rows), np.cumsum([len(a.tokens) for a in answers])[:-1])
    for row, (answer, place) in enumerate(zip(answers, places, strict=True)):
        read = slice(0, len(answer.read))
        yield Reading(scores[row], tuple(weights[row, :, place, read].float().cpu().numpy() for weights in watched))


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids (B, N) and which of them are real."""
    lengths = torch.tensor([[len(row)] for row in rows])
    mask = torch.arange(int(lengths.max())) < lengths
    ids = torch.zeros(mask.shape, dtype=torch.int64)
    ids[mask] = torch.tensor([token for row in rows for token in row])
    return ids.to(device), mask.to(device)


def _log_probabilities(model: Transformer, tokens: Tensor, rows: Sequence[Tensor]) -> NDArray[np.float64]:
    """Of tokens (N,): hidden states (N, D), and what each may copy where the model copies -> (N,)."""
    size = max(1, MAX_LOGITS // model.spec.written_size)
    parts = []
    for chosen, states, *copies in zip(*(torch.split(tensor, size) for tensor in (tokens, *rows)), strict=True):
        logits = model.logits(states, Copies(*copies) if copies else None)
        scores = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        parts.append(scores.gather(-1, chosen[:, None])[:, 0])
    return torch.cat(parts).double().cpu().numpy()


@contextmanager
def watched_attention(model: Transformer, layers: Collection[int] | None = None) -> Iterator[list[Tensor]]:
    """Collect, from outside, the weights with which a decoder looks at what it reads.

    Args:
        layers: as of :func:`read_answers`.

    Yields:
        A list that gets, for each watched layer that is run, weights (B, H, T, R).
    """
    weights: list[Tensor] = []
    runs = count()

    def see(look: Look) -> None:
        if layers is None or next(runs) in layers:
            weights.append(look.weights())

    with watching(_attentions(model), see):
        yield weights


def num_heads(model: Transformer) -> list[int]:
    """H of each layer that can be watched."""
    return [attention.num_heads for attention in _attentions(model)]


def _attentions(model: Transformer) -> list[SelfAttention | CrossAttention]:
    """What looks at what is read, in the order it is run."""
    assert model.decoder is not None
    layers = [cast("Layer", model.decoder.layers[number]) for number in model.decoder.order]
    attentions = (layer.self_attention if model.encoder is None else layer.cross_attention for layer in layers)
    return [attention for attention in attentions if attention is not None]
