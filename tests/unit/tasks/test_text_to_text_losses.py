"""The loss of writing: in pieces it is what it is as a whole."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from heedful.tasks.text_to_text import losses
from heedful.tasks.text_to_text.batch import IGNORED

TOLERANCE = 1e-12
N, D, V = 23, 5, 7


def inputs() -> tuple[Tensor, Tensor, nn.Linear]:
    """Hidden states (N, D), targets (N,) of which some are ignored, and what gives logits."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, D, dtype=torch.float64, generator=generator).requires_grad_()
    targets = torch.randint(0, V, (N,), generator=generator)
    targets[::4] = IGNORED
    output = nn.Linear(D, V, dtype=torch.float64)
    with torch.no_grad():
        for parameter in output.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    return hidden, targets, output


def loss_and_gradients(smoothing: float) -> tuple[Tensor, list[Tensor]]:
    hidden, targets, output = inputs()
    loss = losses.smoothed_cross_entropy(
        hidden, targets, output, parameters=output.parameters(), vocabulary_size=V, smoothing=smoothing
    )
    return loss.detach(), list(torch.autograd.grad(loss, [hidden, *output.parameters()]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_targets_are_smoothed_over_the_vocabulary(smoothing: float) -> None:
    """Target t = (1 - ε) · one-hot + ε / V; loss = Σ over tokens of -t · log p; ignored tokens add nothing."""
    hidden, targets, output = inputs()
    expected = 0.0
    for row, target in zip(output(hidden).tolist(), targets.tolist(), strict=True):
        if target != IGNORED:
            total = math.log(sum(math.exp(value) for value in row))
            for token, value in enumerate(row):
                expected -= ((1 - smoothing) * (token == target) + smoothing / V) * (value - total)
    loss, _ = loss_and_gradients(smoothing)
    assert float(loss) == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("tokens", [1, 4, 16])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_pieces_add_up_to_the_whole(tokens: int, smoothing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, gradients = loss_and_gradients(smoothing)
    held: list[int] = []
    forward = nn.Linear.forward

    def watched(self: nn.Linear, states: Tensor) -> Tensor:
        held.append(len(states))
        return forward(self, states)

    monkeypatch.setattr(losses, "MAX_LOGITS", tokens * V)
    monkeypatch.setattr(nn.Linear, "forward", watched)
    in_pieces, gradients_in_pieces = loss_and_gradients(smoothing)
    assert max(held) == tokens, "logits of more tokens are never held"
    assert float(in_pieces) == pytest.approx(float(whole), rel=TOLERANCE)
    for one, other in zip(gradients, gradients_in_pieces, strict=True):
        assert float((one - other).abs().max()) <= TOLERANCE


def test_gradients_are_those_of_the_loss() -> None:
    """Against finite differences, through states and parameters, weighted from outside."""
    hidden, targets, output = inputs()

    def loss(states: Tensor, *_: Tensor) -> Tensor:
        return 0.5 * losses.smoothed_cross_entropy(
            states, targets, output, parameters=output.parameters(), vocabulary_size=V, smoothing=0.1
        )

    assert torch.autograd.gradcheck(loss, (hidden, *output.parameters()))


def test_without_gradient_nothing_is_kept() -> None:
    hidden, targets, output = inputs()
    with torch.no_grad():
        loss = losses.smoothed_cross_entropy(
            hidden, targets, output, parameters=output.parameters(), vocabulary_size=V, smoothing=0.1
        )
    assert not loss.requires_grad
    assert float(loss) == pytest.approx(float(loss_and_gradients(0.1)[0]), rel=TOLERANCE)


def test_what_needs_no_gradient_gets_none() -> None:
    hidden, targets, output = inputs()
    output.bias.requires_grad = False
    loss = losses.smoothed_cross_entropy(
        hidden.detach(), targets, output, parameters=output.parameters(), vocabulary_size=V, smoothing=0.1
    )
    torch.autograd.backward(loss)
    assert output.bias.grad is None
    assert output.weight.grad is not None
