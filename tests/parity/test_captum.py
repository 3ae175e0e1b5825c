"""Integrated gradients are those of Captum (https://captum.ai)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor

from heedful.data import Example
from heedful.explanation.integrated import along_path, integrated_gradients
from heedful.explanation.labels import read
from heedful.explanation.passes import transformer_of
from heedful.explanation.rows import stacked
from heedful.tasks import TextClassifier

POINTS = 50
TEXTS = ["my new card arrived", "it will rain today, and the train is late", "密码忘了怎么办"]


@pytest.fixture(params=["mean", "first"])
def classifier(request: pytest.FixtureRequest, untrained: Callable[..., TextClassifier]) -> TextClassifier:
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, ("card", "rain", "train"), strict=True)]
    made = untrained(rows, model={"num_layers": 2}, pooling=request.param)
    made.network.double().eval()
    return made


def by_captum(task: TextClassifier, row: Any, absent: int, label: int) -> Any:
    """(S,), with the same tokens in place of those of the text."""
    ids, mask, types = stacked(task, [row])
    special = torch.tensor(row.encoding.special)

    def logit(ids: Tensor) -> Tensor:
        """(P, S) -> (P,)."""
        logits: Tensor = task.network(ids, mask.expand(len(ids), -1), types)[:, label]
        return logits

    method = LayerIntegratedGradients(logit, transformer_of(task).token_embedding)
    baseline = torch.where(special, ids, absent)
    attributed = method.attribute(ids, baseline, n_steps=POINTS, method="gausslegendre")
    return attributed.sum(-1)[0].numpy()


@pytest.mark.parametrize("baseline", ["mask", "pad"])
def test_integrated_gradients_are_captum_s(classifier: TextClassifier, baseline: str) -> None:
    """Captum rounds the rule's weights to float32; with the same weights the scores are equal to the last digits."""
    special = classifier.tokenizer.special
    absent = special.mask if baseline == "mask" else special.pad
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    rounded = (weights / 2).astype(np.float32).astype(np.float64)
    readings = read(classifier, [Example(text, None, (), 1) for text in TEXTS])
    for label, reading in enumerate(readings):
        (row,) = reading.rows(label, None)
        theirs = by_captum(classifier, row, absent or 0, label)
        (ours,) = integrated_gradients(classifier, [row], baseline=baseline, points=POINTS)
        (as_theirs,) = along_path(classifier, [row], (nodes + 1) / 2, rounded, baseline=baseline)
        size = np.abs(theirs).max()
        assert np.abs(as_theirs.scores - theirs).max() <= 1e-14 * size
        assert np.abs(ours.scores - theirs).max() <= 1e-8 * size
        assert size > 1e-3
