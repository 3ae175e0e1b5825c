"""The losses of classification against their formulas, written out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heedful.tasks.classification.losses import IGNORED, cross_entropy, divergence

WEIGHTS = [0.5, 2.0, 1.25]
TOLERANCE = 1e-12


def logits(seed: int, texts: int = 5) -> Tensor:
    return 3 * torch.randn(texts, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def probabilities(row: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_one_label(smoothing: float, weights: list[float] | None) -> None:
    """Target t = (1 - ε) · one-hot + ε / C; loss = Σ over texts and labels of -w · t · log p."""
    scores, targets = logits(0), torch.tensor([2, 0, IGNORED, 1, 1])
    expected = 0.0
    for row, target in zip(scores.tolist(), targets.tolist(), strict=True):
        if target != IGNORED:
            for label, probability in enumerate(probabilities(row)):
                share = (1 - smoothing) * (label == target) + smoothing / 3
                expected -= (weights or [1, 1, 1])[label] * share * math.log(probability)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    loss = cross_entropy(scores, targets, class_weights=weight, smoothing=smoothing)
    assert float(loss) == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_several_labels(smoothing: float, weights: list[float] | None) -> None:
    """Loss = Σ over texts of the mean over labels of -(w · t · log σ + (1 - t) · log(1 - σ)), t smoothed by ε / 2."""
    scores, targets = logits(1), torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1]])
    expected = 0.0
    for row, flags in zip(scores.tolist(), targets.tolist(), strict=True):
        for label, (value, flag) in enumerate(zip(row, flags, strict=True)):
            share = flag * (1 - smoothing) + smoothing / 2
            yes, no = math.log(sigmoid(value)), math.log(sigmoid(-value))
            expected -= ((weights or [1, 1, 1])[label] * share * yes + (1 - share) * no) / 3
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    loss = cross_entropy(scores, targets, class_weights=weight, smoothing=smoothing)
    assert float(loss) == pytest.approx(expected, rel=TOLERANCE)


def divergence_of(p: list[float], q: list[float]) -> float:
    """(KL(p‖q) + KL(q‖p)) / 2."""
    forwards = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    backwards = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    return (forwards + backwards) / 2


def test_divergence_of_one_label() -> None:
    first, second, targets = logits(2), logits(3), torch.tensor([0, 1, IGNORED, 2, 0])
    expected = sum(
        divergence_of(probabilities(one), probabilities(two))
        for one, two, target in zip(first.tolist(), second.tolist(), targets.tolist(), strict=True)
        if target != IGNORED
    )
    assert float(divergence(first, second, targets)) == pytest.approx(expected, rel=TOLERANCE)


def test_divergence_of_several_labels() -> None:
    first, second, targets = logits(4), logits(5), torch.zeros(5, 3)
    expected = sum(
        divergence_of([sigmoid(a), sigmoid(-a)], [sigmoid(b), sigmoid(-b)]) / 3
        for one, two in zip(first.tolist(), second.tolist(), strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert float(divergence(first, second, targets)) == pytest.approx(expected, rel=TOLERANCE)


@given(st.integers(0, 2**16), st.integers(0, 2**16), st.booleans())
def test_divergence_is_symmetric_and_never_negative(one: int, two: int, several: bool) -> None:
    targets = torch.zeros(5, 3) if several else torch.zeros(5, dtype=torch.int64)
    first, second = logits(one), logits(two)
    assert float(divergence(first, second, targets)) >= 0
    assert torch.equal(divergence(first, second, targets), divergence(second, first, targets))
    assert float(divergence(first, first, targets)) == 0


@pytest.mark.parametrize("targets", [torch.tensor([0, 1, 2, 0, 1]), torch.ones(5, 3)])
def test_gradients_are_those_of_the_formulas(targets: Tensor) -> None:
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    first, second = logits(6).requires_grad_(), logits(7).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets, class_weights=weights, smoothing=0.1), first)
    assert torch.autograd.gradcheck(lambda x, y: divergence(x, y, targets), (first, second))


def test_texts_out_of_scope_alone_cost_nothing_and_teach_nothing() -> None:
    scores = logits(8, texts=2).requires_grad_()
    targets = torch.tensor([IGNORED, IGNORED])
    loss = cross_entropy(scores, targets, smoothing=0.1) + divergence(scores, scores * 2, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert float(scores.grad.abs().sum()) == 0
