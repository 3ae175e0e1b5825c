"""What methods are given: windows of texts, each with what is claimed of its logits. R rows, S tokens, C labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heedful.inference import batches_of
from heedful.tasks import Task, TextClassifier
from heedful.tasks.classification.batch import stack_windows
from heedful.text import Encoding

BUDGET = 1024
"""Tokens and padding of a batch."""


@dataclass(frozen=True)
class Row:
    """A window of a text, and the difference of logits that is to be explained there."""

    encoding: Encoding
    groups: tuple[tuple[int, ...], ...]
    """Places of tokens that go together, those of a word or of a sentence; tokens of no text are in none."""
    label: int | None
    """The most probable one if not given."""
    against: int | None = None

    def decided(self, logits: Tensor) -> Row:
        """The same with the label that its own logits (C,) say, where none is given."""
        return self if self.label is not None else replace(self, label=int(logits.argmax()))

    def claim(self, logits: Tensor) -> Tensor:
        """Logits (…, C) -> the one of the label, less the other one, (…)."""
        assert self.label is not None
        claimed = logits[..., self.label]
        return claimed if self.against is None else claimed - logits[..., self.against]


@dataclass(frozen=True)
class RowScores:
    """What a method says of a row."""

    logits: NDArray[np.float64]
    """(C,), of the network."""
    scores: NDArray[np.float64]
    """(S,), of each token; or of each group, where a method hides groups."""
    bias: float | None
    """What is left of the claim, where the method has a sum."""


def batches(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Numbers of rows that go through the network together, within the budget."""
    for numbers in batches_of([len(row.encoding) for row in rows], BUDGET):
        yield numbers.tolist()


def stacked(task: TextClassifier, rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Ids (R, S), mask (R, S) and token types (R, S) as the network takes them."""
    pad = task.tokenizer.special.pad or 0
    ids, mask, types, _, _ = stack_windows([[row.encoding] for row in rows], pad, task.device)
    return ids, mask, types


def covering(task: Task[Any]) -> int:
    """The token that stands where another is hidden: the mask, or else what stands for the unknown, or padding."""
    special = task.tokenizer.special
    return next((token for token in (special.mask, special.unk, special.pad) if token is not None), 0)


def plain(tensor: Tensor) -> NDArray[np.float64]:
    """A tensor as numbers."""
    return np.asarray(tensor.detach().to(torch.float64).cpu().numpy())
