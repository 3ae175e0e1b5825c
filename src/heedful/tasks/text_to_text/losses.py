"""Cross-entropy over a large vocabulary, in pieces. N tokens, D width, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from heedful.tasks.text_to_text.batch import IGNORED

MAX_LOGITS = 2**21
"""Numbers of (tokens × vocabulary) that are held at a time: few enough for the cache of a processor."""


def smoothed_cross_entropy(
    hidden: Tensor,
    targets: Tensor,
    logits_of: Callable[[Tensor], Tensor],
    *,
    parameters: Iterable[nn.Parameter],
    vocabulary_size: int,
    smoothing: float,
) -> Tensor:
    """Sum over tokens of the cross-entropy with smoothed targets (Szegedy et al. 2016, section 7).

    Args:
        hidden: (N, D).
        targets: (N,), ``IGNORED`` where a token adds nothing.
        logits_of: hidden states (n, D) -> logits (n, V).
        parameters: what ``logits_of`` may depend on besides; others do no harm.
        smoothing: share of the target that is spread evenly over the vocabulary.
    """
    real = targets != IGNORED

    def piece(states: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = _SmoothedCrossEntropy.apply(logits_of(states), labels, smoothing)  # type: ignore[no-untyped-call]
        return loss

    return sum_in_pieces(
        piece, hidden[real], targets[real], parameters=parameters, size=max(1, MAX_LOGITS // vocabulary_size)
    )


def sum_in_pieces(
    piece: Callable[..., Tensor], states: Tensor, *constants: Tensor, parameters: Iterable[nn.Parameter], size: int
) -> Tensor:
    """The sum of ``piece(states, *constants)`` over consecutive pieces of ``size`` rows.

    The gradient of each piece is computed right after its value, so what a piece holds is held for one piece at a time
    and nothing is computed twice.

    Args:
        states: (N, …), which the gradient flows back to.
        constants: (N, …) each, without gradient.
        parameters: what the value depends on besides.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    total: Tensor = _SumInPieces.apply(piece, size, constants, states, *learning)  # type: ignore[no-untyped-call]
    return total


class _SumInPieces(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        piece: Callable[..., Tensor],
        size: int,
        constants: Sequence[Tensor],
        states: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        wanted = [needed for needed, _ in zip(ctx.needs_input_grad[3:], (states, *parameters), strict=True)]
        sums: list[Tensor | None] = [torch.empty_like(states) if wanted[0] else None, *[None] * len(parameters)]
        total = states.new_zeros((), dtype=torch.promote_types(states.dtype, torch.float32))
        for start in range(0, len(states), size):
            rows = slice(start, start + size)
            with torch.set_grad_enabled(any(wanted)):
                own = states[rows].detach().requires_grad_(any(wanted))
                value = piece(own, *[constant[rows] for constant in constants])
            total += value.detach()
            if any(wanted):
                gradients = torch.autograd.grad(value, [own, *parameters], allow_unused=True)
                _add(sums, gradients, rows)
        ctx.save_for_backward(*sums)
        return total

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, weight: Tensor) -> Any:
        return None, None, None, *[None if each is None else each * weight for each in ctx.saved_tensors]


def _add(sums: list[Tensor | None], gradients: Sequence[Tensor | None], rows: slice) -> None:
    """Add the gradients of a piece: those of its states stand in ``rows``, those of parameters add up."""
    first, *others = gradients
    if sums[0] is not None and first is not None:
        sums[0][rows] = first
    for number, gradient in enumerate(others, 1):
        before = sums[number]
        sums[number] = gradient if before is None or gradient is None else before.add_(gradient)


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Its gradient, softmax minus target, comes with its value, so that the logits are gone through once."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        """Logits (n, V) and labels (n,) -> the sum over tokens."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        size, labels = logits.shape[-1], labels[:, None]
        right, mean = logits.gather(1, labels)[:, 0], logits.mean(-1)
        highest = logits.amax(-1, keepdim=True)
        gradient = (logits - highest).exp_()
        mass = gradient.sum(-1, keepdim=True)
        normaliser = (highest + mass.log())[:, 0]
        gradient.div_(mass).sub_(smoothing / size)
        gradient.scatter_add_(1, labels, gradient.new_full(labels.shape, smoothing - 1))
        ctx.save_for_backward(gradient)
        return (normaliser - (1 - smoothing) * right - smoothing * mean).sum()

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, weight: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * weight, None, None
