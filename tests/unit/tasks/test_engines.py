"""Another engine gives the same answers, or PyTorch goes on and says why."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import heedful
from heedful.data import Example
from heedful.errors import RequestError, UnsupportedError
from heedful.inference import OpenVino, Plan, Workers
from heedful.tasks import TextClassifier, engines
from heedful.tasks.speed import Speed
from heedful.tasks.text_to_text.options import AnswerOptions
from heedful.training import Run

TOLERANCE = 1e-5
"""Of logits of size 1 to 5; the largest difference seen is 1e-6."""


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def logits(classifier: TextClassifier, texts: list[str]) -> Any:
    return classifier.score([Example(text, None, (), number) for number, text in enumerate(texts, 1)]).logits


@pytest.mark.parametrize("precision", [None, "int8", "int8-weights"])
def test_answers_are_those_of_pytorch_for_any_workers(
    run_copy: Path, jsonl: Callable[..., Path], rows: Any, texts: list[str], precision: str | None
) -> None:
    if precision == "int8":
        heedful.quantize(heedful.load(run_copy), jsonl(rows))
    eager = logits(heedful.load(run_copy, precision=precision), texts)
    compiled = heedful.load(run_copy, precision=precision, engine="openvino")
    assert compiled.engine is not None
    assert compiled.notes == ()
    for workers in (1, 3):
        compiled.workers = Workers(count=workers, threads=1)
        apart = np.abs(logits(compiled, texts) - eager)
        if precision == "int8":  # where a value lies on the edge between two integers, it may go either way
            assert np.median(apart) <= TOLERANCE
            assert apart.max() <= 0.1
        else:
            assert apart.max() <= TOLERANCE


def test_what_was_compiled_is_kept_and_what_is_damaged_is_made_anew(
    run: Run, texts: list[str], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = logits(heedful.load(run.folder, engine="openvino"), texts)
    (kept,) = (own_cache / "openvino").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["model.bin", "model.xml", "sha256"]
    converted = []
    make = OpenVino._make

    def counting(*given: Any) -> Any:
        converted.append(1)
        return make(*given)

    monkeypatch.setattr(OpenVino, "_make", counting)
    assert np.array_equal(logits(heedful.load(run.folder, engine="openvino"), texts), expected)
    assert not converted
    for number, name in enumerate(("model.xml", "model.bin"), 1):
        whole = (kept / name).read_bytes()
        (kept / name).write_bytes(whole[: len(whole) // 2])
        for _ in range(2):
            assert np.array_equal(logits(heedful.load(run.folder, engine="openvino"), texts), expected)
            assert len(converted) == number


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    run: Run, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path / "file" / "below"))
    assert logits(heedful.load(run.folder, engine="openvino"), texts[:1]).shape == (1, 3)


def test_nothing_is_reported_to_anybody(run: Run) -> None:
    heedful.load(run.folder, engine="openvino")
    assert sys.modules["openvino_telemetry"] is None


class Fixed(nn.Module):
    """Adds what depends on a length in a way that no tracer can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 3))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return mask.float().sum(1, keepdim=True) * self.weight.sum(0) + float(ids.shape[1])


def test_a_network_that_a_tracer_cannot_follow_is_refused() -> None:
    def example(rows: int, tokens: int) -> tuple[Tensor, Tensor]:
        return torch.ones(rows, tokens, dtype=torch.int64), torch.ones(rows, tokens, dtype=torch.bool)

    with pytest.raises(UnsupportedError, match="gives other numbers than the network"):
        OpenVino(Fixed(), [example(2, 5), example(1, 9)], fingerprint=None)
    plain = OpenVino(Fixed(), [example(2, 5), example(1, 5)], fingerprint=None)
    assert plain.network(Plan(1, 1))(*example(3, 5)).shape == (3, 3)


def test_where_compiling_fails_pytorch_goes_on_and_says_why(
    run: Run, texts: list[str], monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operation\nand a long story")

    expected = logits(heedful.load(run.folder), texts)
    monkeypatch.setattr("openvino.convert_model", fail)
    classifier = heedful.load(run.folder, engine="openvino")
    assert classifier.engine is None
    assert classifier.notes == (
        "PyTorch computes the network: OpenVINO cannot compute this network: no such operation",
    )
    assert np.array_equal(logits(classifier, texts), expected)
    assert not own_cache.exists()


def test_impossible_wishes_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match=r"'openvin' is no engine; did you mean openvino"):
        heedful.load(run.folder, engine="openvin")
    with pytest.raises(UnsupportedError, match="float32 on a processor"):
        heedful.load(run.folder, engine="openvino", dtype="bfloat16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(engines, "is_installed", lambda: False)
    with pytest.raises(UnsupportedError, match=r"pip install 'heedful\[openvino\]'"):
        heedful.load(run.folder, engine="openvino")
    assert heedful.load(run.folder, engine="auto").engine is None


@pytest.mark.usefixtures("own_cache")
def test_integers_stay_with_pytorch_where_inductor_is_asked_for(
    run_copy: Path, jsonl: Callable[..., Path], rows: Any
) -> None:
    heedful.quantize(heedful.load(run_copy), jsonl(rows))
    classifier = heedful.load(run_copy, precision="int8", engine="inductor")
    assert classifier.engine is None
    assert classifier.notes == (
        "PyTorch computes the network: Inductor multiplies no 8-bit integers; PyTorch and OpenVINO do",
    )


@pytest.mark.usefixtures("own_cache")
def test_without_a_compiler_inductor_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match=r"takes a C\+\+ compiler"):
        heedful.load(run.folder, engine="inductor")


@pytest.mark.usefixtures("own_cache")
def test_a_translator_writes_the_same(ignorant: Callable[..., Any], texts: list[str]) -> None:
    translator = ignorant("translation")
    with pytest.raises(UnsupportedError, match="float32 on a processor"):  # it is in float64
        engines.set_engine(translator, "openvino")
    translator.network.float()
    asked, options = texts[:9], AnswerOptions(generation={"num_beams": 3})
    expected, streamed = translator.predict(asked, options), list(translator.stream(texts[0]))
    engines.set_engine(translator, "openvino")
    assert translator.notes == ()
    answers = translator.predict(asked, options)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    scores = [answer.score for answer in expected]
    assert [answer.score for answer in answers] == pytest.approx(scores, abs=TOLERANCE)
    assert list(translator.stream(texts[0])) == streamed


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("faster", ["eager", "openvino"])
def test_auto_takes_the_faster_engine_and_remembers_it(run: Run, monkeypatch: pytest.MonkeyPatch, faster: str) -> None:
    tried = []

    def measure(task: TextClassifier, texts: list[str], *, seconds: float) -> Speed:
        assert texts
        assert seconds > 0
        engine = "eager" if task.engine is None else task.engine.name
        tried.append(engine)
        return Speed(2.0 if engine == faster else 1.0, 1.0, 0.0, 1.0, 1.0)

    monkeypatch.setattr(engines, "measure_speed", measure)
    for _ in range(2):
        engine = heedful.load(run.folder, engine="auto").engine
        assert ("eager" if engine is None else engine.name) == faster
    assert tried == ["eager", "openvino"]


def test_nothing_longer_is_compared_than_a_text_may_be(run: Run) -> None:
    lengths: list[int] = []

    def make(network: nn.Module, examples: Sequence[tuple[Tensor, ...]]) -> Any:
        lengths.extend(example[0].shape[1] for example in examples)

    heedful.load(run.folder).compiled(make)
    assert max(lengths) == 32


@pytest.mark.parametrize("side_by_side", [True, False])
def test_an_engine_that_lets_no_other_thread_go_on_takes_all_threads_itself(
    run: Run, texts: list[str], monkeypatch: pytest.MonkeyPatch, side_by_side: bool
) -> None:
    plans = []
    network = OpenVino.network

    def watched(self: OpenVino, plan: Plan) -> Callable[..., Any]:
        plans.append(plan)
        return network(self, plan)

    classifier = heedful.load(run.folder, engine="openvino")
    monkeypatch.setattr(OpenVino, "side_by_side", side_by_side)
    monkeypatch.setattr(OpenVino, "network", watched)
    torch.set_num_threads(2)
    try:
        logits(classifier, texts * 40)
    finally:
        torch.set_num_threads(1)
    assert plans == [Plan(2, 1) if side_by_side else Plan(1, 2)]
