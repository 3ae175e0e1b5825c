"""A classifier as an ONNX file answers as the classifier does, by the code that stands beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from tests.parity.families.cases import CASES
from tests.parity.families.harness import load as load_case

import heedful
from heedful.errors import RequestError, UnsupportedError
from heedful.inference import onnx
from heedful.model import ClassificationHead
from heedful.tasks import ConversionOptions, convert
from heedful.tasks.classification.network import ClassificationNetwork
from heedful.training import Run

KINDS = ("deberta-v2", "gemma2", "t5")
"""Positions that depend on each other, a window and caps, and an encoder beside a decoder."""


@pytest.fixture(scope="module")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "onnx"
    convert(run.folder, folder, to="onnx")
    return folder


def test_the_readme_of_an_export_answers_as_the_classifier(run: Run, exported: Path) -> None:
    files = sorted(path.name for path in exported.iterdir())
    assert files == ["README.md", "model.onnx", "task.json", "tokenizer.json", "tokenizer_config.json"]
    code = (exported / "README.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=exported.parent, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    answers = heedful.load(run.folder).predict(["my card was swallowed", "no card"])
    assert done.stdout.split() == [answer.label for answer in answers]


@pytest.mark.parametrize("kind", KINDS)
def test_families_are_written_down(kind: str, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.model_type == kind)
    loaded = load_case(case, case.family.architecture, tmp_path)
    model = loaded.model.float()
    torch.manual_seed(0)
    network = ClassificationNetwork(model, ClassificationHead(model.d_model, 3), decoder_start=1).eval()
    examples = []
    for rows, tokens in ((2, 9), (1, 2), (3, 12)):
        ids = torch.randint(case.reserved, loaded.pretrained.spec.vocabulary_size, (rows, tokens))
        mask = torch.ones_like(ids, dtype=torch.bool)
        mask[-1, 2:] = False
        examples.append((ids, mask))
    sizes = {0: "texts", 1: "tokens"}
    onnx.write_onnx(network, {"ids": sizes, "mask": sizes}, "logits", examples, tmp_path / "model.onnx")
    # What was written has been compared; it takes any number of texts and tokens.
    inputs = onnxruntime.InferenceSession(tmp_path / "model.onnx").get_inputs()
    assert [(each.name, each.shape) for each in inputs] == [(name, ["texts", "tokens"]) for name in ("ids", "mask")]


def test_what_would_answer_differently_is_refused_and_nothing_is_left(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "TOLERANCE", -1.0)
    with pytest.raises(UnsupportedError, match=r"other numbers than the network for inputs of shape \(2, 9\)"):
        convert(run.folder, tmp_path / "onnx", to="onnx")
    assert not (tmp_path / "onnx").exists()


def test_impossible_wishes_are_refused(
    run: Run, ignorant: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="float32 and no shards"):
        convert(run.folder, tmp_path / "onnx", to="onnx", options=ConversionOptions(dtype=torch.float16))
    translator = ignorant("translation")
    translator.save(tmp_path / "translator")
    with pytest.raises(UnsupportedError, match="only classifiers"):
        convert(tmp_path / "translator", tmp_path / "onnx", to="onnx")
    monkeypatch.setattr(onnx, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(UnsupportedError, match=r"no_such_package, which is not installed[\s\S]*heedful\[onnx\]"):
        convert(run.folder, tmp_path / "onnx", to="onnx")
    assert not (tmp_path / "onnx").exists()
