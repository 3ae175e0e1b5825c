"""What may be chosen is what is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import heedful
from heedful.inference import INT8_FILE
from heedful.tasks import bench
from heedful.tasks.bench import Way, products_a_token, ways_of
from heedful.training import Run


@pytest.fixture(autouse=True)
def _no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on most processors."""
    monkeypatch.setattr(bench, "multiplies_bfloat16", lambda: False)


def test_a_classifier_is_measured_with_few_and_many_workers(run: Run, tmp_path: Path) -> None:
    classifier = heedful.load(run.folder)
    ways = list(ways_of(classifier, tmp_path, 4))
    assert ways == [
        Way(engine, precision, workers)
        for precision in (None, "int8-weights")
        for engine in ("eager", "openvino")
        for workers in (4, 1)
    ]
    (tmp_path / INT8_FILE).touch()
    precisions = [way.precision for way in ways_of(classifier, tmp_path, 1)]
    assert precisions == [None, None, "int8", "int8", "int8-weights", "int8-weights"]


def test_only_a_compiled_model_is_written_with_by_several_workers(ignorant: Callable[..., Any], tmp_path: Path) -> None:
    ways = [way for way in ways_of(ignorant("translation"), tmp_path, 4) if way.precision is None]
    assert ways == [Way("eager", None, None), Way("openvino", None, 4), Way("openvino", None, 1)]


def test_bfloat16_is_measured_where_the_processor_has_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "multiplies_bfloat16", lambda: True)
    ways = list(ways_of(heedful.load(run.folder), tmp_path, 1))
    assert ways[-1] == Way("eager", "bfloat16", 1)
    assert Way("openvino", "bfloat16", 1) not in ways


def test_the_work_of_a_token_is_counted_from_the_matrices(run: Run) -> None:
    classifier = heedful.load(run.folder)
    (layer,) = classifier.model.encoder.layers
    by_hand = sum(weight.numel() for weight in layer.parameters() if weight.dim() == 2)
    assert products_a_token(classifier) == (by_hand, 0)
    assert by_hand == 4 * 16 * 16 + 2 * 16 * 32


def test_what_is_written_is_work_of_the_decoder_and_the_vocabulary(ignorant: Callable[..., Any]) -> None:
    translator = ignorant("translation")
    model, matrices = translator.model, {}
    for stack in (model.encoder, model.decoder):
        matrices[stack] = sum(weight.numel() for weight in stack.layers.parameters() if weight.dim() == 2)
    across = (
        len(model.decoder.layers) * 2 * model.d_model**2
    )  # keys and values of the source, once for all that is written
    vocabulary = model.spec.written_size * model.d_model
    reading, writing = products_a_token(translator)
    assert (reading, writing) == (matrices[model.encoder] + across, matrices[model.decoder] - across + vocabulary)
