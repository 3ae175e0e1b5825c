"""A Transformer made linear in its token vectors, from outside and for one pass.

Three things in a Transformer are not linear: attention weights, norms and activations. Held at the values that they
have for a text, they are fixed factors, and every logit is a sum: of what each token's vector adds to it, and of what
comes from positions, types and biases. The gradient at a token's vector, times the vector, is then what the token adds
exactly (Ali et al. 2022 and Achtibat et al. 2024 hold the same factors for relevance; Modarressi et al. 2023 carry the
parts forward). Held are

- the weights of attention: values carry, queries and keys do not;
- the scale of a norm, 1 / standard deviation or 1 / root mean square; taking the mean away is linear;
- the ratio act(z) / z of an activation, its slope at 0 where z is 0; of a gated feed-forward network the whole gate,
  so that what it lets through carries.

B rows, T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from heedful.model import Transformer
from heedful.nn import (
    AttentionKernel,
    AttentionMask,
    Embeddings,
    FeedForward,
    LanguageModelHead,
    SoftCap,
    UnitOffsetRMSNorm,
)

ACTIVATIONS = (nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, SoftCap)
"""What is 0 at 0, and is done to each number apart."""


class Trace:
    """What a pass through a frozen network leaves, to be attributed as often as there are claims."""

    def __init__(self) -> None:
        self.vectors: list[Tensor] = []
        """(B, T, E) each: token vectors in the order in which they were looked up, the encoder's first."""
        self._constants: Tensor | float = 0.0

    def begin_at(self, vectors: Tensor) -> Tensor:
        """``vectors`` (B, T, E) as what is attributed to."""
        self.vectors.append(vectors.detach().requires_grad_())
        return self.vectors[-1]

    def attribute(self, claims: Tensor) -> tuple[list[Tensor], Tensor]:
        """What a number of each row is the sum of.

        Args:
            claims: (B,), one number of each row, such as a logit; it may be called again with others.

        Returns:
            What each token adds, (B, T) for each of ``vectors``, and what all else does, (B,).
        """
        self._constants = torch.zeros_like(claims)
        gradients = torch.autograd.grad(claims.sum(), self.vectors, retain_graph=True, allow_unused=True)
        added = [
            torch.zeros_like(vectors[..., 0]) if gradient is None else (gradient * vectors.detach()).sum(-1)
            for gradient, vectors in zip(gradients, self.vectors, strict=True)
        ]
        return added, self._constants + 0.0

    def count(self, states: Tensor, constant: Tensor) -> None:
        """``constant`` was added to ``states`` (B, …): whatever is attributed counts its part."""
        if states.requires_grad:
            states.register_hook(partial(self._count, constant.detach()))  # type: ignore[no-untyped-call]

    def _count(self, constant: Tensor, gradient: Tensor) -> None:
        self._constants = self._constants + (gradient * constant).flatten(1).sum(1)


@contextmanager
def traced(network: nn.Module, model: Transformer) -> Iterator[Trace]:
    """Inside, what goes through ``network`` once leaves a trace, and is otherwise as it is.

    Args:
        network: what is called, ``model`` with a head or the model itself; in evaluation mode.
    """
    trace = Trace()
    # No gradient of a parameter is asked for: nothing is kept for one.
    with not_learning(network), watched_lookups(model, lambda _, vectors: trace.begin_at(vectors)), torch.enable_grad():
        yield trace


@contextmanager
def frozen(network: nn.Module, model: Transformer) -> Iterator[Trace]:
    """Inside, what goes through ``network`` once is linear in the token vectors of ``model``, and leaves a trace.

    The values are those of the network as it is, up to rounding.

    Args:
        network: as of :func:`traced`.
    """
    with ExitStack() as stack:
        trace = stack.enter_context(traced(network, model))
        for module in network.modules():
            for handle in _freeze(module, trace):
                stack.callback(handle.remove)
        yield trace


@contextmanager
def not_learning(network: nn.Module) -> Iterator[None]:
    """Inside, gradients of parameters are not asked for."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


@contextmanager
def watched_lookups(model: Transformer, change: Callable[[Tensor, Tensor], Tensor]) -> Iterator[None]:
    """Inside, each lookup of tokens (B, T) gives what ``change`` makes of them and of their vectors (B, T, E)."""
    tables = {model.token_embedding, model.written_embedding}
    with ExitStack() as stack:
        for table in tables:
            hook = table.register_forward_hook(lambda _, inputs, vectors: change(inputs[0], vectors))
            stack.callback(hook.remove)
        yield


def _freeze(module: nn.Module, trace: Trace) -> Iterator[torch.utils.hooks.RemovableHandle]:
    """The hooks that hold what is not linear in ``module``, and count what it adds."""
    match module:
        case AttentionKernel():
            yield module.register_forward_pre_hook(_hold_weights)
        case nn.LayerNorm() | nn.RMSNorm():
            yield module.register_forward_hook(partial(_hold_scale, trace))
        case FeedForward(gate=gate) if gate is not None:
            yield module.activation.register_forward_hook(_hold)
        case _ if isinstance(module, ACTIVATIONS):
            yield module.register_forward_hook(_hold_ratio, prepend=True)  # before a gate is held as a whole
        case nn.Linear(bias=Tensor()):
            yield module.register_forward_hook(partial(_count_bias, trace))
        case LanguageModelHead(bias=Tensor() as bias):
            yield module.soft_cap.register_forward_pre_hook(lambda _, inputs: trace.count(inputs[0], bias))
        case Embeddings():
            tokens: list[Tensor] = []
            yield module.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
            yield module.norm.register_forward_pre_hook(
                lambda _, inputs: trace.count(inputs[0], inputs[0] - tokens.pop() * module.scale)
            )


def _hold_weights(_: nn.Module, inputs: tuple[Tensor, Tensor, Tensor, AttentionMask]) -> tuple[Any, ...]:
    query, keys, values, mask = inputs
    scores = None if mask.scores is None else mask.scores.detach()
    return query.detach(), keys.detach(), values, mask._replace(scores=scores)


def _hold(_: nn.Module, __: Any, output: Tensor) -> Tensor:
    return output.detach()


def _hold_ratio(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    (z,) = inputs
    held = z.detach()
    ratio = torch.where(held == 0, _slope_at_zero(module, held), output.detach() / held)
    return z * ratio


def _slope_at_zero(module: nn.Module, like: Tensor) -> Tensor:
    zero = torch.zeros((), dtype=like.dtype, device=like.device, requires_grad=True)
    (slope,) = torch.autograd.grad(module.forward(zero), zero)
    return slope


def _hold_scale(trace: Trace, norm: nn.LayerNorm | nn.RMSNorm, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """The norm with the scale that it has: (…, D) -> (…, D)."""
    x = inputs[0].to(torch.promote_types(output.dtype, torch.float32))
    centred = x - x.mean(-1, keepdim=True) if isinstance(norm, nn.LayerNorm) else x
    epsilon = torch.finfo(x.dtype).eps if norm.eps is None else norm.eps
    scaled = centred * (centred.detach().square().mean(-1, keepdim=True) + epsilon).rsqrt()
    if norm.weight is not None:
        scaled = scaled * (1 + norm.weight if isinstance(norm, UnitOffsetRMSNorm) else norm.weight)
    bias = norm.bias if isinstance(norm, nn.LayerNorm) else None
    if bias is not None:
        scaled = scaled + bias
        trace.count(scaled, bias)
    return scaled.to(output.dtype)


def _count_bias(trace: Trace, linear: nn.Linear, _: Any, output: Tensor) -> None:
    trace.count(output, linear.bias)
