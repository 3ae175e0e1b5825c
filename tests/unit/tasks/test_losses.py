"""The losses of classification against their formulas, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from heedful.tasks.classification.losses import IGNORED, cross_entropy, mixed_cross_entropy

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


ONE_LABEL = torch.tensor([0, 1, IGNORED, 2, 0])
SEVERAL_LABELS = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("targets", [ONE_LABEL, SEVERAL_LABELS], ids=["one", "several"])
def test_mixing_texts_mixes_logits_and_losses_in_one_share(targets: Tensor, alpha: float) -> None:
    scores = logits(2)
    torch.manual_seed(5)
    share, other = float(torch.distributions.Beta(alpha, alpha).sample()), torch.randperm(5)
    torch.manual_seed(5)
    loss = mixed_cross_entropy(scores, targets, alpha, smoothing=0.1)
    expected = 0.0
    for row, partner in enumerate(other.tolist()):
        mixed = (share * scores[row] + (1 - share) * scores[partner])[None]
        for weight, text in ((share, row), (1 - share, partner)):
            expected += weight * float(cross_entropy(mixed, targets[text, None], smoothing=0.1))
    assert 0 < share < 1
    assert float(loss) == pytest.approx(expected, rel=TOLERANCE)


def test_no_mixing_is_the_plain_loss_and_draws_nothing() -> None:
    torch.manual_seed(6)
    before = torch.get_rng_state()
    assert torch.equal(mixed_cross_entropy(logits(3), ONE_LABEL, 0.0), cross_entropy(logits(3), ONE_LABEL))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("targets", [torch.tensor([0, 1, 2, 0, 1]), torch.ones(5, 3)])
def test_gradients_are_those_of_the_formulas(targets: Tensor) -> None:
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    scores = logits(6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets, class_weights=weights, smoothing=0.1), scores)


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_texts_out_of_scope_alone_cost_nothing_and_teach_nothing(mixup: float) -> None:
    scores = logits(8, texts=2).requires_grad_()
    loss = mixed_cross_entropy(scores, torch.tensor([IGNORED, IGNORED]), mixup, smoothing=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert float(scores.grad.abs().sum()) == 0
