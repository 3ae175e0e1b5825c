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
    logits_of: Callable[..., Tensor],
    *beside: Tensor,
    parameters: Iterable[nn.Parameter],
    vocabulary_size: int,
    smoothing: float,
) -> Tensor:
    """Sum over tokens of the cross-entropy with smoothed targets (Szegedy et al. 2016, section 7).

    Args:
        hidden: (N, D).
        targets: (N,), ``IGNORED`` where a token adds nothing.
        logits_of: hidden states (n, D), and ``beside`` of the same tokens -> logits (n, V).
        beside: (N, …) each.
        parameters: what ``logits_of`` may depend on besides; others do no harm.
        smoothing: share of the target that is spread evenly over the vocabulary.
    """
    real = targets != IGNORED

    def piece(labels: Tensor, *states: Tensor) -> Tensor:
        loss: Tensor = _SmoothedCrossEntropy.apply(logits_of(*states), labels, smoothing)  # type: ignore[no-untyped-call]
        return loss

    rows = [tensor[real] for tensor in (targets, hidden, *beside)]
    return sum_in_pieces(piece, rows, parameters=parameters, size=max(1, MAX_LOGITS // vocabulary_size))


def sum_in_pieces(
    piece: Callable[..., Tensor], rows: Sequence[Tensor], *, parameters: Iterable[nn.Parameter], size: int
) -> Tensor:
    """The sum of ``piece(*rows)`` over consecutive pieces of ``size`` rows.

    The gradient of each piece is computed right after its value, so what a piece holds is held for one piece at a time
    and nothing is computed twice.

    Args:
        rows: (N, …) each; the gradient flows back to those that have one.
        parameters: what the value depends on besides.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    total: Tensor = _SumInPieces.apply(piece, size, len(rows), *rows, *learning)  # type: ignore[no-untyped-call]
    return total


class _SumInPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, piece: Callable[..., Tensor], size: int, num_rows: int, *tensors: Tensor) -> Tensor:
        rows, parameters = tensors[:num_rows], tensors[num_rows:]
        needed = ctx.needs_input_grad[3:]
        gradients = [
            torch.empty_like(tensor) if wanted and number < num_rows else None
            for number, (tensor, wanted) in enumerate(zip(tensors, needed, strict=True))
        ]
        like = next((row for row in rows if row.is_floating_point()), rows[0])
        total = like.new_zeros((), dtype=torch.promote_types(like.dtype, torch.float32))
        for start in range(0, len(rows[0]), size):
            place = slice(start, start + size)
            with torch.set_grad_enabled(any(needed)):
                own = [row[place].detach().requires_grad_(wanted) for row, wanted in zip(rows, needed, strict=False)]
                value = piece(*own)
            total += value.detach()
            if any(needed):
                _add(gradients, value, own, parameters, place)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> Any:
        return None, None, None, *[None if each is None else each * weight for each in ctx.saved_tensors]


def _add(
    gradients: list[Tensor | None], value: Tensor, rows: Sequence[Tensor], parameters: Sequence[Tensor], place: slice
) -> None:
    """Add the gradients of a piece: those of its rows stand at ``place``, those of parameters add up."""
    leaves = [(number, leaf) for number, leaf in enumerate((*rows, *parameters)) if leaf.requires_grad]
    found = torch.autograd.grad(value, [leaf for _, leaf in leaves], allow_unused=True)
    for (number, _), gradient in zip(leaves, found, strict=True):
        kept = gradients[number]
        if kept is not None and number < len(rows):
            kept[place] = 0.0 if gradient is None else gradient
        elif gradient is not None:
            gradients[number] = gradient if kept is None else kept.add_(gradient)


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
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * weight, None, None
