"""Batches of pairs of texts. B pairs, S tokens that are read first, T that are written or scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORED = -100
"""The target where nothing is to be written."""


@dataclass(frozen=True)
class TextToTextBatch:
    """Tensors of B pairs."""

    ids: Tensor
    """(B, S) int64: sources; for a decoder alone, prompts and what is to be written after them, T = S."""
    mask: Tensor
    """(B, S) boolean, True at real tokens."""
    decoder_ids: Tensor
    """(B, T) int64: what a decoder beside an encoder reads; (B, 0) where there is none."""
    targets: Tensor
    """(B, T) int64: what is to be written next; ``IGNORED`` at padding and, for a decoder alone, inside prompts."""
    hideable: Tensor
    """(B, S) boolean, True at tokens that come from the text."""
    num_targets: float
    num_tokens: int
    num_cells: int


def make_batch(
    read: Sequence[Sequence[int]],
    hideable: Sequence[Sequence[bool]],
    decoder_read: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    *,
    pad: int,
    device: torch.device,
) -> TextToTextBatch:
    """Pad pairs into a batch; the arguments are the rows of its fields of these names.

    Args:
        hideable: may be shorter than what is read: what is not mentioned is not hideable.
    """
    ids, labels = _padded(read, pad), _padded(targets, IGNORED)
    decoder_ids = _padded(decoder_read, 0)  # of the target's vocabulary; no token sees what comes after it
    flags = [[*row, *[False] * (ids.shape[1] - len(row))] for row in hideable]
    return TextToTextBatch(
        ids=ids.to(device),
        mask=(torch.arange(ids.shape[1]) < torch.tensor([[len(row)] for row in read])).to(device),
        decoder_ids=decoder_ids.to(device),
        targets=labels.to(device),
        hideable=torch.tensor(flags).to(device),
        num_targets=float((labels != IGNORED).sum()),
        num_tokens=sum(map(len, read)) + sum(map(len, decoder_read)),
        num_cells=ids.numel() + decoder_ids.numel(),
    )


def _padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    padded = torch.full((len(rows), max(map(len, rows))), fill)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = torch.tensor(row)
    return padded
