"""What heads are worth: gates that do what zeroed weights do, derivatives that are derivatives, exact ablation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from heedful.data import Example, ExampleStore
from heedful.errors import DataError, RequestError, UnsupportedError
from heedful.explanation.attention import KINDS, attentions_of
from heedful.explanation.heads import Heads, gated, weigh_heads, without_head
from heedful.nn.attention import Attention
from heedful.tasks import TextClassifier
from heedful.training import Run

TOLERANCE = 1e-9  # of derivatives by differences; measured: 1.4e-10
STEP = 1e-5
ROWS = [{"text": "my card was swallowed", "label": "card"}, {"text": "rain today", "label": "weather"}]
PAIRS = [("The red dog sees a cat.", "A cat."), ("The old dog", "number 5"), ("The blue dog number 4", "sees")]
Make = Callable[..., Any]


def places_of(task: Any) -> list[Attention]:
    return [part for kind in KINDS for part in attentions_of(task.model, kind).values()]


def store_of(pairs: Iterable[tuple[str, str]]) -> ExampleStore:
    return ExampleStore(Example(text, None, (), row, target=target) for row, (text, target) in enumerate(pairs, 1))


def differences(task: Any, store: ExampleStore, attention: Attention, head: int) -> float:
    """Mean over examples of |∂ loss / ∂ gate|, by moving the gate."""
    total = 0.0
    for example in store:
        losses = []
        for moved in (1 - STEP, 1 + STEP):
            gates = torch.ones(attention.num_heads, dtype=torch.float64)
            gates[head] = moved
            with torch.no_grad(), gated(attention, gates):
                losses.append(float(task.loss(task.collate([example]))))
        total += abs(losses[1] - losses[0]) / (2 * STEP)
    return total / len(store)


def check_importance(task: Any, store: ExampleStore, found: Heads) -> None:
    expected = [
        differences(task, store, attention, head)
        for attention in places_of(task)
        for head in range(attention.num_heads)
    ]
    assert [head.importance for head in found.heads] == pytest.approx(expected, abs=TOLERANCE)
    assert min(expected) > 100 * TOLERANCE, "there is something to be found"


def test_importance_is_the_mean_of_absolute_derivatives(
    untrained: Callable[..., TextClassifier], stores: Callable[[Any], ExampleStore]
) -> None:
    # The first text is read in several windows, whose derivatives belong to one example.
    rows = [{"text": "card swallowed " * 8, "label": "card"}, *ROWS]
    task = untrained(rows, max_length=16, long_input="window", model={"num_layers": 2})
    task.network.double().train()
    store = stores(rows)
    found = weigh_heads(task, store, ablate=False)
    assert [(head.kind, head.layer, head.head) for head in found.heads] == [
        ("encoder", layer, head) for layer in range(2) for head in range(2)
    ]
    assert found.value is None and {head.change for head in found.heads} == {None}
    assert task.network.training and all(parameter.requires_grad for parameter in task.network.parameters())
    assert all(parameter.grad is None for parameter in task.network.parameters())
    task.network.eval()
    check_importance(task, store, found)


def test_importance_for_what_is_written(ignorant: Make) -> None:
    task = ignorant("translation")
    with store_of(PAIRS) as store:
        found = weigh_heads(task, store, ablate=False)
        assert [(head.kind, head.layer, head.head) for head in found.heads] == [
            (kind, 0, head) for kind in ("encoder", "decoder", "cross") for head in range(2)
        ]
        check_importance(task, store, found)


@torch.no_grad()
def test_a_closed_gate_is_a_zeroed_slice_of_the_output_and_of_the_values(
    untrained: Callable[..., TextClassifier],
) -> None:
    task = untrained(ROWS, model={"num_layers": 2})
    task.network.double()
    attention, *_ = places_of(task)
    text = ["my card 天气"]
    whole = task.predict(text)[0].scores
    for head in range(attention.num_heads):
        with without_head(attention, head):
            gated_scores = task.predict(text)[0].scores
        assert gated_scores != whole
        for projection in ("output", "value"):
            with zeroed(attention, head, projection):
                assert task.predict(text)[0].scores == gated_scores
            with zeroed(attention, 1 - head, projection):
                assert task.predict(text)[0].scores != gated_scores
    assert task.predict(text)[0].scores == whole, "the gates are open again"


@contextmanager
def zeroed(attention: Attention, head: int, projection: str) -> Iterator[None]:
    """Inside, a head's slice of a projection is 0."""
    part = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
    slices = [attention.output.weight.data[:, part]]
    if projection == "value":
        slices = [attention.value.weight.data[part], attention.value.bias.data[part]]
    kept = [tensor.clone() for tensor in slices]
    for tensor in slices:
        tensor.zero_()
    yield
    for tensor, was in zip(slices, kept, strict=True):
        tensor.copy_(was)


def test_ablation_is_the_metric_of_a_model_without_the_head(run: Run, rows: tuple[Any, ...], stores: Any) -> None:
    task, store = run.task, stores(rows)
    found = weigh_heads(task, store)
    assert found.metric == "accuracy" and found.num_examples == len(rows)
    whole = task.assess(store, resamples=0).metrics["accuracy"].value
    assert found.value == whole
    for head in found.heads:
        with zeroed(places_of(task)[head.layer], head.head, "output"):
            assert head.change == task.assess(store, resamples=0).metrics["accuracy"].value - whole
    assert any(head.change != 0 for head in found.heads), "these heads are needed"
    other = weigh_heads(task, store, metric="negative_log_likelihood")
    assert (
        other.metric == "negative_log_likelihood"
        and other.value == task.assess(store, resamples=0).metrics["negative_log_likelihood"].value
    )


def test_ablation_for_what_is_written(ignorant: Make) -> None:
    task = ignorant("translation")
    brief = task.card.generation.model_copy(update={"max_new_tokens": 6})
    task.card = task.card.model_copy(update={"generation": brief})
    with store_of(PAIRS) as store:
        answers = [answer.text for answer in task.predict([text for text, _ in PAIRS])]
        metric = "chrf"
        found = weigh_heads(task, store, metric=metric)
        expected = []
        for attention in places_of(task):
            for head in range(attention.num_heads):
                with zeroed(attention, head, "output"):
                    expected.append(task.assess(store, resamples=0).metrics[metric].value)
        assert found.value is not None
        assert [head.change for head in found.heads] == [value - found.value for value in expected]
        assert any(head.change for head in found.heads)
    assert [answer.text for answer in task.predict([text for text, _ in PAIRS])] == answers


def test_other_weights_other_heads(untrained: Callable[..., TextClassifier], stores: Any) -> None:
    one, other = (weigh_heads(untrained(ROWS, seed=seed), stores(ROWS), ablate=False) for seed in (1, 2))
    assert one != other
    assert one == weigh_heads(untrained(ROWS, seed=1), stores(ROWS), ablate=False)


def test_a_layer_that_is_run_twice_has_its_heads_once(untrained: Callable[..., TextClassifier], stores: Any) -> None:
    task = untrained(ROWS)
    task.model.encoder.order = (0, 0, 0)  # type: ignore[attr-defined]
    task.network.double().eval()
    store = stores(ROWS)
    found = weigh_heads(task, store, ablate=False)
    assert [(head.layer, head.head) for head in found.heads] == [(0, 0), (0, 1)]
    (attention,) = set(places_of(task))
    expected = [differences(task, store, attention, head) for head in range(2)]
    assert [head.importance for head in found.heads] == pytest.approx(expected, abs=TOLERANCE)


def test_what_is_found_can_be_kept_and_shown(run: Run, rows: tuple[Any, ...], stores: Any) -> None:
    found = weigh_heads(run.task, stores(rows[:12]))
    assert json.loads(found.to_json())["heads"][1]["head"] == 1
    console = Console(width=100, file=None)
    with console.capture() as shown:
        console.print(found)
    lines = shown.get().splitlines()
    assert "accuracy without it" in lines[1]
    best = max(found.heads, key=lambda head: head.importance)
    assert best.change is not None
    assert lines[3].split() == [
        "encoder",
        "0",
        str(best.head),
        f"{best.importance:.3g}",
        f"{100 * best.change:+.1f}",
        "%",
    ]
    with console.capture() as shown:
        console.print(weigh_heads(run.task, stores(rows[:12]), ablate=False))
    assert "without it" not in shown.get()


def test_what_cannot_be_weighed_is_refused(untrained: Callable[..., TextClassifier], stores: Any) -> None:
    task = untrained([*ROWS, {"text": "and trains", "label": "train"}], out_of_scope="weather")
    with pytest.raises(RequestError, match="'acuracy' is no metric of classification; did you mean accuracy"):
        weigh_heads(task, stores(ROWS), metric="acuracy")
    with pytest.raises(DataError, match="no example with an answer"):
        weigh_heads(task, stores(ROWS[1:]))
    with pytest.raises(UnsupportedError, match="no task with a Transformer"):
        weigh_heads(TextClassifier(Own(), task.head, task.tokenizer, task.card), stores(ROWS))


class Own(nn.Module):
    """A module of a user's own."""

    d_model = 16

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        raise AssertionError("it is not asked")
