"""Exact contributions: what each token adds to a logit, by one pass forward and one back. R rows, S tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor, nn

from heedful.explanation.frozen import Trace, frozen, traced
from heedful.explanation.passes import answering, transformer_of
from heedful.explanation.rows import Row, RowScores, batches, plain, stacked
from heedful.model import Transformer
from heedful.tasks import TextClassifier


def contributions(task: TextClassifier, rows: Sequence[Row]) -> list[RowScores]:
    """What each token of each row adds to what is claimed; tokens and bias sum to it. See :mod:`.frozen`.

    Raises:
        UnsupportedError: the classifier reads with a module of the user's own.
    """
    return _by_gradient(task, rows, frozen)


def gradient_input(task: TextClassifier, rows: Sequence[Row]) -> list[RowScores]:
    """Gradient times token vector (Shrikumar et al. 2017), with nothing held; it has no sum to check.

    Raises:
        UnsupportedError: the classifier reads with a module of the user's own.
    """
    return [replace(found, bias=None) for found in _by_gradient(task, rows, traced)]


def _by_gradient(
    task: TextClassifier,
    rows: Sequence[Row],
    tracing: Callable[[nn.Module, Transformer], AbstractContextManager[Trace]],
) -> list[RowScores]:
    model = transformer_of(task)
    found: dict[int, RowScores] = {}
    for numbers in batches(rows):
        batch = [rows[number] for number in numbers]
        ids, mask, types = stacked(task, batch)
        with answering(task.network), tracing(task.network, model) as trace:
            logits = task.network(ids, mask, types)
        claims = torch.stack([row.decided(own).claim(own) for row, own in zip(batch, logits, strict=True)])
        added, constants = trace.attribute(claims)
        tokens, start = of_text(added)
        for place, number in enumerate(numbers):
            length = len(rows[number].encoding)
            bias = float(constants[place] + start[place])
            found[number] = RowScores(plain(logits[place]), plain(tokens[place, :length]), bias)
    return [found[number] for number in range(len(rows))]


def of_text(added: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """What tokens of the text add, (R, S), and the token that a decoder starts with, (R,).

    A decoder beside an encoder reads the text once more, one place to the right: a token adds what it adds to both.
    """
    if len(added) == 1:
        return added[0], torch.zeros_like(added[0][:, 0])
    read, again = added
    return read + torch.nn.functional.pad(again[:, 1:], (0, 1)), again[:, 0]
