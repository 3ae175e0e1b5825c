"""What every task keeps, whatever its job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import heedful
from heedful.data import Columns, Example, ExampleStore
from heedful.errors import RequestError
from heedful.evaluation import measure
from heedful.model import UniformSpec
from heedful.tasks import JOBS, SpecSource, Task
from heedful.text import TokenizerSettings

Rows = tuple[dict[str, Any], ...]

KINDS: dict[str, str] = {
    "single": "classification",
    "multi": "classification",
    "pairs": "classification",
    "out of scope": "classification",
    "decoder": "classification",
    "encoder and decoder": "classification",
    "own module": "classification",
    "translation": "translation",
    "summarization": "summarization",
    "translation by a decoder": "translation",
}
"""What is tried, and the job it belongs to."""

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_model.py"
LAYER = {"self_attention": {"num_heads": 2, "head_dim": 8}, "feed_forward": {"d_ff": 24}}
SIZES = {"vocabulary_size": 130, "d_model": 16}
CROSSING = {"layers": [LAYER | {"cross_attention": LAYER["self_attention"]}]}
MODELS: dict[str, dict[str, Any]] = {
    "decoder": {"spec": {**SIZES, "decoder": {"layers": [LAYER]}}},
    "encoder and decoder": {"spec": {**SIZES, "encoder": {"layers": [LAYER]}, "decoder": CROSSING}},
    "own module": {"module": f"{EXAMPLE}:build", "arguments": {"d_model": 16, "num_heads": 2}},
}
"""Of the kinds that are about the model."""


def test_every_job_is_tried_here() -> None:
    assert set(KINDS.values()) == set(JOBS)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, rows: Rows, stores: Callable[[Iterable[dict[str, Any]]], ExampleStore]) -> Iterator[ExampleStore]:
    if KINDS[kind] == "classification":
        yield stores(_data(kind, rows))
    else:
        with ExampleStore(
            Example(row["text"], None, (), number, target=row["label"]) for number, row in enumerate(rows, 1)
        ) as written:
            yield written


@pytest.fixture
def task(kind: str, rows: Rows, store: ExampleStore, untrained: Callable[..., Task[Any]]) -> Task[Any]:
    if KINDS[kind] != "classification":
        return _writer(kind, store)
    section: dict[str, Any] = {"multi": {"labels": "multi"}, "out of scope": {"out_of_scope": "weather"}}.get(kind, {})
    return untrained(_data(kind, rows), model=MODELS.get(kind), **section)


def _writer(kind: str, store: ExampleStore) -> Task[Any]:
    job, spec = KINDS[kind], UniformSpec(d_model=16, num_layers=1, num_heads=2, d_ff=24)
    section = {"job": job, "generation": {"num_beams": 2, "max_new_tokens": 6}}
    made: Task[Any] = JOBS[job].create(
        JOBS[job].settings.model_validate(section),
        TokenizerSettings.model_validate({"kind": "bpe", "vocabulary_size": 300}),
        SpecSource(spec=spec.decoder(300)) if kind == "translation by a decoder" else spec,
        store,
        Columns(),
        seed=1,
    )
    return made


def _data(kind: str, rows: Rows) -> list[dict[str, Any]]:
    if kind == "multi":
        return [row | {"label": [row["label"], "any"][: number // 3 % 3]} for number, row in enumerate(rows)]
    if kind == "pairs":
        return [row | {"pair": "why not"} for row in rows]
    return list(rows)


def answers(task: Task[Any], store: ExampleStore) -> Any:
    entries = [example.text if example.pair is None else (example.text, example.pair) for example in store]
    return task.predict(entries)  # type: ignore[attr-defined]


def test_every_parameter_gets_a_gradient_from_the_loss(task: Task[Any], store: ExampleStore) -> None:
    task.network.train()
    batch = task.collate(store.take(range(len(store))))
    loss = task.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.shape == ()
    assert float(loss.detach()) > 0
    for name, parameter in task.network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_losses_add_up_over_batches(task: Task[Any], store: ExampleStore) -> None:
    """Without noise the loss of a batch is the sum of those of its parts, and so are targets, tokens."""
    task.network.double().eval()
    whole = task.collate(store.take(range(40)))
    parts = [task.collate(store.take(range(start, start + 8))) for start in range(0, 40, 8)]
    total = sum(float(task.loss(part).detach()) for part in parts)
    assert float(task.loss(whole).detach()) == pytest.approx(total, rel=1e-12)
    assert whole.num_targets == sum(part.num_targets for part in parts) > 0
    assert whole.num_tokens == sum(part.num_tokens for part in parts) == int(task.lengths(store)[:40].sum())
    assert whole.num_cells >= whole.num_tokens


def test_lengths_are_one_for_each_example(task: Task[Any], store: ExampleStore) -> None:
    lengths = task.lengths(store)
    assert len(lengths) == len(store)
    assert lengths.dtype == np.int32
    assert (lengths > 0).all()


def test_its_own_data_pass_the_check(task: Task[Any], store: ExampleStore) -> None:
    task.check(store, name="these")


def test_unusable_data_do_not_pass_the_check(task: Task[Any], store: ExampleStore) -> None:
    (example,) = store.take([0])
    unknown = Example(example.text, example.pair, ("never seen",), 1)
    with ExampleStore([unknown]) as other, pytest.raises(RequestError, match=r"^these: .*('never seen'|no target)"):
        task.check(other, name="these")


def test_its_metrics_are_those_it_names(task: Task[Any], store: ExampleStore) -> None:
    evaluation = measure(task, store, resamples=10)
    assert set(evaluation.metrics) == set(task.metrics)
    assert task.main_metric in task.metrics
    for name, value in evaluation.metrics.items():
        assert value.direction == task.metrics[name].direction
        assert np.isfinite(value.value)
    assert evaluation.num_examples > 0


def test_answers_come_back_the_same_from_a_folder(task: Task[Any], store: ExampleStore, tmp_path: Path) -> None:
    task.save(tmp_path / "saved")
    loaded = heedful.load(tmp_path / "saved", allow_code=EXAMPLE)
    assert type(loaded) is type(task)
    assert answers(loaded, store) == answers(task, store)


def test_nothing_has_no_answers(task: Task[Any]) -> None:
    assert task.predict([]) == []  # type: ignore[attr-defined]


def test_saving_twice_gives_the_same_bytes(task: Task[Any], tmp_path: Path) -> None:
    for place in ("one", "two"):
        task.save(tmp_path / place / "model")
    one, two = (sorted((tmp_path / place / "model").iterdir()) for place in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_answering_leaves_the_weights_and_the_random_state_alone(task: Task[Any], store: ExampleStore) -> None:
    before = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    state = torch.get_rng_state()
    first = answers(task, store)
    assert answers(task, store) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.network.state_dict().items())
