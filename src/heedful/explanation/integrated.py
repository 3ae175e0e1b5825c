"""Integrated gradients (Sundararajan et al. 2017), with the rule that needs the fewest points. P points, S tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heedful.explanation.contributions import of_text
from heedful.explanation.frozen import not_learning, watched_lookups
from heedful.explanation.passes import answering, transformer_of
from heedful.explanation.rows import BUDGET, Row, RowScores, covering, plain, stacked
from heedful.model import Transformer
from heedful.tasks import TextClassifier

POINTS = 50
BASELINES = ("mask", "pad", "zero")
"""What stands for the absence of a token: the mask token, padding, or a vector of zeros."""
Floats = NDArray[np.float64]


def integrated_gradients(
    task: TextClassifier, rows: Sequence[Row], *, baseline: str = "mask", points: int = POINTS
) -> list[RowScores]:
    """The integral of the gradient from a baseline to the text, by Gauss and Legendre's rule.

    Tokens of no text stay as they are on the whole path. ``bias`` is the claim at the baseline: with the scores it sums
    to the claim, up to the error of the rule, which is what is left.

    Args:
        baseline: one of :data:`BASELINES`.
        points: P, where the gradient is taken.

    Raises:
        UnsupportedError: the classifier reads with a module of the user's own.
    """
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return along_path(task, rows, (nodes + 1) / 2, weights / 2, baseline=baseline)


def along_path(
    task: TextClassifier, rows: Sequence[Row], places: Floats, weights: Floats, *, baseline: str
) -> list[RowScores]:
    """Σ weight · gradient at each place of the path, times the whole way; ``places`` and ``weights`` are (P,)."""
    model = transformer_of(task)
    with answering(task.network), not_learning(task.network):
        return [_Path(task, model, row, baseline).integrate(places, weights) for row in rows]


class _Path:
    """From the baseline of a row, share 0, to the row, share 1."""

    def __init__(self, task: TextClassifier, model: Transformer, row: Row, baseline: str) -> None:
        self._task, self._model, self._row = task, model, row
        self._inputs = stacked(task, [row])
        ids = self._inputs[0]
        is_text = torch.tensor([not special for special in row.encoding.special], device=ids.device)
        if baseline == "zero":  # any other token tells which of the vectors are looked up for the text
            absent = (ids + 1) % model.token_embedding.num_embeddings
        else:
            pad = task.tokenizer.special.pad or 0
            absent = torch.full_like(ids, covering(task) if baseline == "mask" else pad)
        end, begin = self._look_up(ids), self._look_up(torch.where(is_text, absent, ids))
        self._begin = [
            torch.where((own != other)[..., None], 0.0, vectors) if baseline == "zero" else replaced
            for (own, vectors), (other, replaced) in zip(end, begin, strict=True)
        ]
        self._way = [vectors - start for (_, vectors), start in zip(end, self._begin, strict=True)]

    @torch.no_grad()
    def _look_up(self, ids: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The ids (1, S) and vectors (1, S, E) of each lookup."""
        found: list[tuple[Tensor, Tensor]] = []

        def note(looked_up: Tensor, vectors: Tensor) -> Tensor:
            found.append((looked_up, vectors))
            return vectors

        with watched_lookups(self._model, note):
            self._task.network(ids, *self._inputs[1:])
        return found

    def at(self, shares: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (P, C) at shares (P,) of the way, and the vectors there, (P, S, E) of each lookup."""
        vectors = [
            (start + shares[:, None, None].to(way) * way).requires_grad_(torch.is_grad_enabled())
            for start, way in zip(self._begin, self._way, strict=True)
        ]
        waiting = iter(vectors)
        rows = [None if part is None else part.expand(len(shares), -1) for part in self._inputs]
        with watched_lookups(self._model, lambda _, __: next(waiting)):
            return self._task.network(*rows), vectors

    def integrate(self, places: Floats, weights: Floats) -> RowScores:
        """Scores of the row's tokens, with the claim at the baseline for bias."""
        device = self._inputs[0].device
        with torch.no_grad():
            ends, _ = self.at(torch.tensor([0.0, 1.0], device=device))
        row = self._row.decided(ends[1])
        sums = [torch.zeros_like(way[0]) for way in self._way]
        size = max(1, BUDGET // self._inputs[0].shape[1])
        for start in range(0, len(places), size):
            some = slice(start, start + size)
            with torch.enable_grad():
                logits, vectors = self.at(torch.from_numpy(places[some]).to(device))
            gradients = torch.autograd.grad(row.claim(logits).sum(), vectors)
            for total, gradient in zip(sums, gradients, strict=True):
                total.add_(torch.tensordot(torch.from_numpy(weights[some]).to(gradient), gradient, dims=1))
        added = [(total * way[0]).sum(-1)[None] for total, way in zip(sums, self._way, strict=True)]
        tokens, start_token = of_text(added)
        bias = float(row.claim(ends)[0] + start_token[0])
        return RowScores(plain(ends[1]), plain(tokens[0]), bias)
