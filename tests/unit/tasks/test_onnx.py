"""A classifier as an ONNX file answers as the classifier does, by the code that stands beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import heedful
from heedful.errors import RequestError, UnsupportedError
from heedful.inference import onnx
from heedful.tasks import ConversionOptions, convert
from heedful.training import Run


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
