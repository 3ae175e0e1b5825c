"""Which heads matter: by the gradient of the loss, and exactly, by what the metric is without them.

B rows, T tokens, H heads, K head width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from torch import Tensor, nn

from heedful.data import ExampleStore
from heedful.errors import DataError, RequestError
from heedful.explanation.attention import KINDS, attentions_of
from heedful.explanation.frozen import not_learning
from heedful.explanation.passes import answering, transformer_of
from heedful.metrics import readable
from heedful.metrics.metric import Unit
from heedful.model import Transformer
from heedful.nn.attention import Attention
from heedful.settings import nearest
from heedful.tasks import Task


@dataclass(frozen=True, slots=True)
class Head:
    """What a head is worth."""

    kind: str
    """One of :data:`heedful.explanation.attention.KINDS`."""
    layer: int
    """Counted from 0 in the order in which they are run; of a layer that is run several times, the first."""
    head: int
    importance: float
    """Mean over examples of the loss's absolute derivative by the head's gate (Michel et al. 2019, equation 2)."""
    change: float | None
    """The metric without the head less the metric with it; None where that was not measured."""


@dataclass(frozen=True)
class Heads:
    """What the heads of a model are worth on a data set."""

    heads: tuple[Head, ...]
    metric: str
    value: float | None
    """Of the metric with all heads; None where heads were not taken out."""
    unit: Unit
    """Of the metric: ``%`` is a share of one."""
    num_examples: int

    def to_json(self) -> str:
        """As a JSON document."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def __rich__(self) -> Table:
        """A table, the most important head first."""
        table = Table(box=box.SIMPLE_HEAD)
        for name in ("attention", "layer", "head", "importance"):
            table.add_column(name, justify="left" if name == "attention" else "right")
        if self.value is not None:
            table.add_column(f"{readable(self.metric)} without it", justify="right")
        for head in sorted(self.heads, key=lambda head: -head.importance):
            cells = [head.kind, str(head.layer), str(head.head), f"{head.importance:.3g}"]
            if head.change is not None:
                cells.append(f"{100 * head.change:+.1f} %" if self.unit == "%" else f"{head.change:+.3f}")
            table.add_row(*cells)
        return table


def weigh_heads(task: Task[Any], store: ExampleStore, *, metric: str | None = None, ablate: bool = True) -> Heads:
    """Find out what each head of a task's model is worth on labelled examples.

    Args:
        metric: its name; that which is the main one of the job unless given.
        ablate: take each head out in turn, and answer all examples without it: exact, and as many evaluations as there
            are heads. The gradient takes one pass over the examples.

    Raises:
        UnsupportedError: the task's model is no Transformer of this toolkit.
        RequestError: the job has no such metric.
        DataError: no example has anything to learn from.
    """
    places = _places(transformer_of(task))
    name = metric or task.main_metric
    if name not in task.metrics:
        raise RequestError(f"{name!r:.60} is no metric of {task.job}; {nearest(name, task.metrics)}")
    importance = _importance(task, store, list(places))

    def measured() -> float:
        return task.assess(store, resamples=0).metrics[name].value

    with answering(task.network):
        whole = measured() if ablate else None
        heads = []
        for (attention, (kind, layer)), scores in zip(places.items(), importance, strict=True):
            for head, score in enumerate(scores.tolist()):
                change = None
                if whole is not None:
                    with without_head(attention, head):
                        change = measured() - whole
                heads.append(Head(kind, layer, head, score, change))
    return Heads(tuple(heads), name, whole, task.metrics[name].unit, len(store))


@contextmanager
def gated(attention: Attention, gates: Tensor) -> Iterator[None]:
    """Inside, what each head gives is multiplied with its gate, (H,), before the heads are put together."""

    def gate(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        (mixed,) = inputs
        return mixed * gates.repeat_interleave(attention.head_dim)

    hook = attention.output.register_forward_pre_hook(gate)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def without_head(attention: Attention, head: int) -> Iterator[None]:
    """Inside, a head gives nothing: as if its columns of the output map were 0."""
    gates = _open_gates(attention)
    gates[head] = 0
    with gated(attention, gates):
        yield


def _open_gates(attention: Attention) -> Tensor:
    """(H,), all 1."""
    return next(attention.output.parameters()).detach().new_ones(attention.num_heads)


def _importance(task: Task[Any], store: ExampleStore, attentions: Sequence[Attention]) -> list[NDArray[np.float64]]:
    """For each attention (H,): the mean over examples of |∂ loss / ∂ gate|."""
    gates = [_open_gates(attention).requires_grad_() for attention in attentions]
    totals = [torch.zeros_like(gate, dtype=torch.float64, device="cpu") for gate in gates]
    count = 0
    with answering(task.network), not_learning(task.network), torch.enable_grad(), ExitStack() as stack:
        for attention, gate in zip(attentions, gates, strict=True):
            stack.enter_context(gated(attention, gate))
        for example in store:
            batch = task.collate([example])
            if not batch.num_targets:
                continue
            for total, gradient in zip(totals, torch.autograd.grad(task.loss(batch), gates), strict=True):
                total.add_(gradient.abs().cpu())
            count += 1
    if not count:
        raise DataError("there is no example with an answer to judge heads by")
    return [(total / count).numpy() for total in totals]


def _places(model: Transformer) -> dict[Attention, tuple[str, int]]:
    """The kind and layer of every attention of a model."""
    places: dict[Attention, tuple[str, int]] = {}
    for kind in KINDS:
        for layer, attention in attentions_of(model, kind).items():
            places.setdefault(attention, (kind, layer))
    return places
