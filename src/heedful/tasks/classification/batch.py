"""Texts as windows of tokens, and windows as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from heedful.data import pad_batch
from heedful.text import Encoding


@dataclass(frozen=True)
class ClassificationBatch:
    """Windows of a few texts. R rows, S tokens, B texts, C labels."""

    ids: Tensor
    """(R, S) int64."""
    mask: Tensor
    """(R, S) bool, True at real tokens."""
    token_types: Tensor | None
    """(R, S) int64, where texts come in pairs."""
    hideable: Tensor
    """(R, S) bool, True at tokens of the text itself, neither special nor padding."""
    owner: Tensor | None
    """(R,) int64, the text of each row; None where every text is one row."""
    targets: Tensor
    """(B,) int64, or (B, C) of 0 and 1 where a text may have several labels."""
    num_targets: float
    num_tokens: int

    @property
    def num_cells(self) -> int:
        """Tokens and padding."""
        return self.ids.numel()


def stack_windows(
    windows: Sequence[Sequence[Encoding]], pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None]:
    """Stack the windows of each text into (ids, mask, token types, hideable, owner), see ClassificationBatch."""
    rows = [window for text in windows for window in text]
    ids, mask = pad_batch([row.ids for row in rows], pad_id)
    hideable, _ = pad_batch([[not flag for flag in row.special] for row in rows], 0)
    token_types = owner = None
    if any(row.token_types[-1] for row in rows):
        token_types = pad_batch([row.token_types for row in rows], 0)[0].to(device)
    if len(rows) != len(windows):
        owner = torch.tensor([index for index, text in enumerate(windows) for _ in text], device=device)
    return ids.to(device), mask.to(device), token_types, hideable.bool().to(device), owner
