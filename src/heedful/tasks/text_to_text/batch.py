"""Batches of pairs of texts. B pairs, S tokens of the source, T of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORED = -100
"""The target of padding."""


@dataclass(frozen=True)
class TextToTextBatch:
    """Tensors of B pairs."""

    ids: Tensor
    """(B, S) int64."""
    mask: Tensor
    """(B, S) boolean, True at real tokens."""
    decoder_ids: Tensor
    """(B, T) int64: the start token and all of the target but its last token."""
    targets: Tensor
    """(B, T) int64, ``IGNORED`` at padding."""
    hideable: Tensor
    """(B, S) boolean, True at tokens that come from the text."""
    num_targets: float
    num_tokens: int
    num_cells: int


def make_batch(
    sources: Sequence[Sequence[int]],
    special: Sequence[Sequence[bool]],
    targets: Sequence[Sequence[int]],
    *,
    start: int,
    pad: int,
    device: torch.device,
) -> TextToTextBatch:
    """Pad pairs into a batch.

    Args:
        sources: token ids of each source.
        special: True at those of its tokens that come from no text.
        targets: token ids of each target, the end token included.
        start: what the decoder reads first.
    """
    rows, width, length = len(sources), max(map(len, sources)), max(map(len, targets))
    ids = torch.full((rows, width), pad)
    hideable = torch.zeros(rows, width, dtype=torch.bool)
    decoder_ids, labels = torch.full((rows, length), pad), torch.full((rows, length), IGNORED)
    for row, (source, flags, target) in enumerate(zip(sources, special, targets, strict=True)):
        ids[row, : len(source)] = torch.tensor(source)
        hideable[row, : len(source)] = ~torch.tensor(flags)
        decoder_ids[row, : len(target)] = torch.tensor([start, *target[:-1]])
        labels[row, : len(target)] = torch.tensor(target)
    mask = torch.arange(width) < torch.tensor([[len(source)] for source in sources])
    num_targets = sum(map(len, targets))
    return TextToTextBatch(
        ids=ids.to(device),
        mask=mask.to(device),
        decoder_ids=decoder_ids.to(device),
        targets=labels.to(device),
        hideable=hideable.to(device),
        num_targets=float(num_targets),
        num_tokens=sum(map(len, sources)) + num_targets,
        num_cells=ids.numel() + labels.numel(),
    )
