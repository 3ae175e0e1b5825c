"""How the tokens that a Transformer reads mix in its states: ALTI and ALTI+ (Ferrando et al. 2022a, 2022b).

With attention weights and the scales of norms held at the values that they have, what an attention block gives to a
token, y, is a sum: of a vector from each token that it looks at, of the token's own vector, which goes around the
attention, and of biases. A token's proximity is max(0, ‖y‖₁ - ‖y - vector‖₁), and its share in y is its part of all
proximities (2022a, equations 9 to 12). Shares of a block make a matrix, and the product of those of all blocks says how
much of each token that is read is in each state (section 3.2). A block that looks at a memory has a share for each
token of the memory beside that of the prefix: so a decoder's states are split into source and prefix (2022b, section
4). Feed-forward networks mix no tokens. In a parallel layer, whose sum has them in it, what they add counts for the
token itself.

Where no vector is nearer to y than 0 is, because they cancel each other, all proximities are 0. The nearest one then
has the whole share, those that are equally near the same part of it: as the proximities shrink together, the nearest
vector's is the last to vanish, so that this continues the definition.

B rows, T queries, S keys, H heads, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heedful.explanation.passes import pass_of, quiet
from heedful.model import Transformer
from heedful.nn import Layer, Residual, SelfAttention, Stack, UnitOffsetRMSNorm
from heedful.nn.watching import Look, watching
from heedful.tasks import Task
from heedful.tasks.text_to_text.trust import Finished

MAX_NUMBERS = 2**22
"""Of vectors, that are held at a time."""


@dataclass
class Run:
    """A layer that was run once: what it read, and how its attentions looked at it."""

    layer: Layer
    states: Tensor
    """(B, T, D)."""
    looks: list[Look] = field(default_factory=list)


@dataclass(frozen=True)
class Mixture:
    """How much of each token is in each state that a stack ends with; rows sum to 1 over both."""

    read: Tensor
    """(B, T, T), of what the stack itself reads."""
    memory: Tensor | None
    """(B, T, S), of what the memory was made of; None where no layer looks at one."""


@dataclass(frozen=True)
class TokenShares:
    """How much of each token that was read is in each state that the answer is made from."""

    queries: tuple[str, ...]
    """(T,), the tokens at whose places the states are; where an answer is written, its tokens."""
    tokens: tuple[str, ...]
    """(N,), what was read: the source, and behind it what a decoder beside an encoder read."""
    shares: NDArray[np.float64]
    """(T, N), rows ≥ 0 that sum to 1."""


def alti(task: Task[Any], text: str | tuple[str, str], *, answer: str | Sequence[int] | None = None) -> TokenShares:
    """How much of each token is in the states that a task's answer to a text is made from.

    Args:
        answer: of a task that writes, a text or its tokens; what the task itself answers unless given.

    Raises:
        UnsupportedError, InputTooLongError, DataError: as of :func:`heedful.explanation.passes.pass_of`.
    """
    text_pass = pass_of(task, text, answer)
    with quiet(text_pass.network), ExitStack() as stack:
        runs = [stack.enter_context(recorded(part)) for part in _stacks(text_pass.model)]
        text_pass.run()
        mixture = mix(runs[0])
        for more in runs[1:]:
            mixture = mix(more, mixture.read)
    parts = mixture.read if mixture.memory is None else torch.cat([mixture.memory, mixture.read], -1)
    names = text_pass.decoded or text_pass.encoded
    queries = text_pass.written or names
    return TokenShares(
        queries,
        (*text_pass.encoded, *text_pass.decoded),
        parts[0, -len(queries) :].double().cpu().numpy(),
    )


def source_share(model: Transformer, answer: Finished) -> NDArray[np.float64]:
    """ALTI+ of an answer's tokens: how much of what each was written from was the source, or the prompt.

    Args:
        model: encoder and decoder, or a decoder alone.

    Returns:
        (T,), each in [0, 1]; the rest is of what was written before, and of the token that a decoder starts with.
    """
    assert model.decoder is not None
    device = model.token_embedding.weight.device
    read = torch.tensor([[*answer.prompt, *answer.tokens[:-1]]], device=device)
    with quiet(model), recorded(model.decoder) as runs:
        memory = None if model.encoder is None else model.encode(torch.tensor([answer.source], device=device))
        model.decode(read, memory)
        mixture = mix(runs)
    whole = mixture.read[..., : len(answer.prompt)] if mixture.memory is None else mixture.memory
    shares: NDArray[np.float64] = whole[0, -len(answer.tokens) :].double().sum(-1).clamp(0, 1).cpu().numpy()
    return shares


@contextmanager
def recorded(stack: Stack) -> Iterator[list[Run]]:
    """Collect, from outside, what the layers of a stack do, in the order in which they are run."""
    runs: list[Run] = []

    def begin(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(layer, Layer)
        runs.append(Run(layer, inputs[0]))

    def see(look: Look) -> None:
        runs[-1].looks.append(look)

    layers = [layer for layer in stack.layers if isinstance(layer, Layer)]
    attentions = [
        part for layer in layers for part in (layer.self_attention, layer.cross_attention) if part is not None
    ]
    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(begin).remove)
        hooks.enter_context(watching(attentions, see))
        yield runs


def mix(runs: Sequence[Run], memory: Tensor | None = None) -> Mixture:
    """Roll the shares of all blocks out, from what a stack reads to the states that it ends with.

    Args:
        memory: (B, S, S), of what the memory was made of; the memory's own tokens unless given.
    """
    states = runs[0].states
    rows, length, _ = states.shape
    read = torch.eye(length, dtype=_precise(states), device=states.device).expand(rows, -1, -1)
    looked: Tensor | None = None
    for own, across in (shares for run in runs for shares in block_shares(run)):
        read = own @ read
        looked = None if looked is None else own @ looked
        if across is not None:
            added = across if memory is None else across @ memory
            looked = added if looked is None else looked + added
    return Mixture(read, looked)


def block_shares(run: Run) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Shares of each attention block of a layer, in the order in which they are run.

    Yields:
        (B, T, T) of the tokens that the layer reads, and (B, T, S) of the memory's or None. Rows sum to 1 over both.
    """
    layer, states, looks = run.layer, run.states, run.looks
    if layer.parallel and looks:
        if layer.feed_forward is not None and layer.feed_forward_residual is not None:
            states = states + layer.feed_forward_residual.branch(states, layer.feed_forward)
        _, own, across = _block(states, [(look, _residual(layer, look)) for look in looks], nn.Identity())
        yield own, across
        return
    for look in looks:
        residual = _residual(layer, look)
        states, own, across = _block(states, [(look, residual)], residual.norm_sum)
        yield own, across


def _residual(layer: Layer, look: Look) -> Residual:
    residual = (
        layer.self_attention_residual if look.attention is layer.self_attention else layer.cross_attention_residual
    )
    assert residual is not None
    return residual


def _block(
    own: Tensor, branches: Sequence[tuple[Look, Residual]], norm_sum: nn.Module
) -> tuple[Tensor, Tensor, Tensor | None]:
    """What norm_sum(own + Σ branch) gives, (B, T, D), and the shares in it, as :func:`block_shares` yields them.

    Args:
        own: (B, T, D), what goes around the attentions.
    """
    outputs = [look.output() for look, _ in branches]
    total = own + sum(residual.norm_after(output) for output, (_, residual) in zip(outputs, branches, strict=True))
    given: Tensor = norm_sum(total)
    outer, scale = _held(norm_sum, total)
    y = given.to(scale.dtype)
    goes_around = outer(own.to(scale.dtype)) * scale
    itself = torch.eye(y.shape[1], dtype=torch.bool, device=y.device).expand(len(y), -1, -1)
    distances, seen = [(y - goes_around).abs().sum(-1, keepdim=True).expand(itself.shape)], [itself]
    for output, (look, residual) in zip(outputs, branches, strict=True):
        inner, inner_scale = _held(residual.norm_after, output)
        weights = look.weights().to(scale.dtype) * (inner_scale * scale)[:, None]
        vectors = outer(inner(look.vectors().to(scale.dtype)))
        if isinstance(look.attention, SelfAttention):
            distances[0], seen[0] = _distances(y, weights, vectors, goes_around), itself | (weights != 0).any(1)
        else:
            distances.append(_distances(y, weights, vectors))
            seen.append((weights != 0).any(1))
    shares = _normalised(y.abs().sum(-1), torch.cat(distances, -1), torch.cat(seen, -1))
    length = itself.shape[-1]
    return given, shares[..., :length], shares[..., length:] if len(distances) > 1 else None


def _distances(y: Tensor, weights: Tensor, vectors: Tensor, goes_around: Tensor | None = None) -> Tensor:
    """‖y - vector‖₁ of each key's vector: y (B, T, D), weights (B, H, T, S), vectors (B, H, S, D) -> (B, T, S).

    Args:
        goes_around: (B, T, D), a part of the vector that a token has in its own state, T = S.
    """
    by_key, keys = weights.permute(0, 3, 2, 1), vectors.transpose(1, 2)
    size = max(1, MAX_NUMBERS // vectors[:, 0].numel())
    columns = []
    for start in range(0, y.shape[1], size):
        rows = slice(start, start + size)
        parts = by_key[:, :, rows] @ keys  # (B, S, rows, D)
        if goes_around is not None:
            parts.diagonal(start, 2, 1).add_(goes_around[:, rows].transpose(1, 2))
        columns.append(parts.sub_(y[:, None, rows]).abs_().sum(-1))
    return torch.cat(columns, -1).transpose(1, 2)


def _normalised(length: Tensor, distances: Tensor, seen: Tensor) -> Tensor:
    """Shares (B, T, N) from ‖y‖₁ (B, T), distances to y (B, T, N) and which of the N are there at all."""
    near = (length[..., None] - distances).clamp(min=0).where(seen, 0)
    total = near.sum(-1, keepdim=True)
    hidden = distances.masked_fill(~seen, torch.inf)
    nearest = (hidden == hidden.min(-1, keepdim=True).values).to(near.dtype)
    return torch.where(total > 0, near / total, nearest / nearest.sum(-1, keepdim=True))


def _held(norm: nn.Module, at: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A norm as it is at states (…, D), without its bias: a linear map of vectors (…, D), and their scale (…, 1)."""
    at = at.to(_precise(at))
    if not isinstance(norm, nn.LayerNorm | nn.RMSNorm):
        return lambda vectors: vectors, torch.ones_like(at[..., :1])
    centre = isinstance(norm, nn.LayerNorm)
    centred = at - at.mean(-1, keepdim=True) if centre else at
    epsilon = torch.finfo(at.dtype).eps if norm.eps is None else norm.eps
    scale = (centred.square().mean(-1, keepdim=True) + epsilon).rsqrt()
    weight = torch.ones_like(at[0, 0]) if norm.weight is None else norm.weight.to(at.dtype)
    if isinstance(norm, UnitOffsetRMSNorm):
        weight = 1 + weight
    return lambda vectors: (vectors - vectors.mean(-1, keepdim=True) if centre else vectors) * weight, scale


def _stacks(model: Transformer) -> list[Stack]:
    return [stack for stack in (model.encoder, model.decoder) if stack is not None]


def _precise(states: Tensor) -> torch.dtype:
    return torch.promote_types(states.dtype, torch.float32)
