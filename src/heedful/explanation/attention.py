"""What attention looks at: a view of the weights that a model works with, not an explanation of its answer.

A head can look at a token and take little from it: the norm of what it takes says more than the weight (Kobayashi et
al. 2020). L layers, H heads, T queries, S keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heedful.errors import RequestError, UnsupportedError
from heedful.explanation.passes import TextPass, case_of, pass_of, quiet, transformer_of
from heedful.model import Transformer
from heedful.nn import CrossAttention, Layer, SelfAttention
from heedful.nn.watching import Look, watching
from heedful.settings import nearest
from heedful.tasks import Task, TextToText

KINDS = ("encoder", "decoder", "cross")
"""Self-attention of either stack, and what a decoder looks at in the encoder's output."""


@dataclass(frozen=True)
class AttentionView:
    """Where heads looked."""

    kind: str
    """One of :data:`KINDS`."""
    layers: tuple[int, ...]
    """(L,), counted from 0 in the order in which they are run."""
    heads: tuple[int, ...]
    """(H,), of each of the layers."""
    queries: tuple[str, ...]
    """(T,), who looks: in self-attention the tokens themselves, in cross-attention those that are to be written."""
    tokens: tuple[str, ...]
    """(S,), who is looked at."""
    weights: NDArray[np.floating[Any]]
    """(L, H, T, S): rows sum to 1."""
    norms: NDArray[np.floating[Any]] | None
    """(L, H, T, S), ‖α (x W_V + b_V) W_O‖: how much a head takes from each token (Kobayashi et al. 2020, equation 5),
    where that was asked for."""


def attention(
    task: Task[Any],
    text: str | tuple[str, str],
    *,
    answer: str | Sequence[int] | None = None,
    kind: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    norms: bool = False,
) -> AttentionView:
    """The weights of some heads on a text, exact, while the model works as it does.

    Args:
        text: of a classifier of pairs, both texts.
        answer: of a task that writes, a text or its tokens; what the task itself answers unless given.
        kind: one of :data:`KINDS`; where an answer is written by an encoder and a decoder ``cross``, else the
            self-attention of the encoder, or of the decoder where it is alone, unless given.
        layers: counted from 0 in the order in which they are run; all unless given.
        heads: counted from 0; all unless given.
        norms: work out too how much the heads take.

    Raises:
        RequestError: there is no such kind, layer or head, or the layers differ in their number of heads.
        UnsupportedError: the model has no attention of this kind, or is no Transformer of this toolkit.
        InputTooLongError: the text is longer than the classifier reads at once.
    """
    text_pass = pass_of(task, text, answer)
    model = text_pass.model
    if kind is None:
        kind = "decoder" if model.encoder is None else "cross" if text_pass.written else "encoder"
    there = attentions_of(model, kind)
    if not there:
        known = [other for other in KINDS if attentions_of(model, other)]
        raise UnsupportedError(f"this model has no attention of kind {kind}", remedy=f"Ask for {' or '.join(known)}.")
    chosen = _chosen("layer", layers, there)
    counts = {there[number].num_heads for number in chosen}
    if heads is None and len(counts) > 1:
        raise RequestError(
            f"layers have {' or '.join(map(str, sorted(counts)))} heads: they are no one picture",
            remedy="Ask for one layer, or for heads that all of them have.",
        )
    selected = _chosen("head", heads, range(min(counts)))
    some = None if heads is None else selected
    with quiet(text_pass.network):
        looks = looks_at(model, kind, text_pass.run, layers=chosen)
        weights = torch.stack([look.weights(some)[0] for look in looks])
        taken = None
        if norms:
            lengths = torch.stack([look.vectors(some)[0].norm(dim=-1) for look in looks])
            taken = _numbers(weights * lengths[:, :, None])
    queries, tokens = _sides(text_pass, kind)
    return AttentionView(kind, chosen, selected, queries, tokens, _numbers(weights), taken)


def views(
    task: Task[Any], text: str | tuple[str, str], *, answer: str | Sequence[int] | None = None
) -> list[AttentionView]:
    """All that a task's model looks at, a view for each kind of attention that it has; see :func:`attention`."""
    model = transformer_of(task)
    if answer is None and isinstance(task, TextToText):
        assert isinstance(text, str)
        answer = case_of(task, text).finished.tokens  # written once, for all views
    return [attention(task, text, answer=answer, kind=kind) for kind in KINDS if attentions_of(model, kind)]


def attentions_of(model: Transformer, kind: str) -> dict[int, SelfAttention | CrossAttention]:
    """The attentions of a kind by the number of their layer, counted from 0 in the order in which they are run.

    Raises:
        RequestError: there is no such kind.
    """
    if kind not in KINDS:
        raise RequestError(f"{kind!r:.60} is no kind of attention; {nearest(str(kind), KINDS)}")
    stack = model.encoder if kind == "encoder" else model.decoder
    layers = [] if stack is None else [cast("Layer", stack.layers[number]) for number in stack.order]
    parts = [layer.cross_attention if kind == "cross" else layer.self_attention for layer in layers]
    return {number: part for number, part in enumerate(parts) if part is not None}


def looks_at(
    model: Transformer, kind: str, run: Callable[[], object], *, layers: Collection[int] | None = None
) -> list[Look]:
    """What the attentions of a kind look at while ``run`` makes one pass through the model.

    Args:
        layers: those to be watched; all that have such an attention unless given.

    Returns:
        One for each watched layer, in the order in which they are run.
    """
    there = attentions_of(model, kind)
    runs = iter(there)
    looks: list[Look] = []

    def see(look: Look) -> None:
        number = next(runs)
        if layers is None or number in layers:
            looks.append(look)

    with watching(there.values(), see):
        run()
    return looks


def _sides(text_pass: TextPass, kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Queries and tokens."""
    if kind == "cross":
        return text_pass.written or text_pass.decoded, text_pass.encoded
    tokens = text_pass.encoded if kind == "encoder" else text_pass.decoded
    return tokens, tokens


def _chosen(name: str, wanted: Sequence[int] | None, there: Collection[int]) -> tuple[int, ...]:
    """The numbers that are wanted, in order; all that are there unless some are."""
    missing = sorted(set(wanted or ()) - set(there))
    if missing or (wanted is not None and not len(wanted)):
        raise RequestError(
            f"there is no {name} {missing[0]}" if missing else f"no {name} is asked for",
            remedy=f"Choose from {', '.join(map(str, there))}.",
        )
    return tuple(sorted(there if wanted is None else set(wanted)))


def _numbers(tensor: Tensor) -> NDArray[np.floating[Any]]:
    precise = tensor.to(torch.promote_types(tensor.dtype, torch.float32))
    return np.asarray(precise.cpu().numpy())
