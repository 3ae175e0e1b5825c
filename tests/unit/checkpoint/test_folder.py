"""Model folders: the bare Transformer of one, and JSON files that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import heedful
from heedful.checkpoint import read_spec
from heedful.errors import CheckpointError
from heedful.training import Run


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_load_model_gives_the_transformer_of_a_run(run: Run) -> None:
    model = heedful.load_model(run.folder)
    ids = torch.arange(12).view(2, 6)
    assert not model.training
    assert torch.equal(model.encode(ids), run.task.model.encode(ids))


def test_a_folder_holds_what_the_design_says(run: Run) -> None:
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "task.json", "README.md"}
    assert wanted <= {path.name for path in run.folder.iterdir()}
    assert wanted <= {path.name for path in (run.folder / "last").iterdir()}
    assert json.loads((run.folder / "config.json").read_text(encoding="utf-8"))["format_version"] == 1


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_another_format_is_refused(run_copy: Path, version: object) -> None:
    change(run_copy / "config.json", format_version=version)
    with pytest.raises(CheckpointError, match=rf"format_version {version!r}, not 1"):
        read_spec(run_copy)


def test_all_faults_of_a_spec_are_listed_with_the_file(run_copy: Path) -> None:
    file = run_copy / "config.json"
    spec = json.loads(file.read_text(encoding="utf-8"))["spec"]
    change(file, spec=spec | {"d_model": -1, "vocabulary_sise": 3})
    with pytest.raises(CheckpointError) as caught:
        heedful.load_model(run_copy)
    assert str(file) in caught.value.message
    assert "d_model: Input should be greater than 0 (got -1)" in caught.value.message
    assert "vocabulary_sise: unknown key; did you mean vocabulary_size?" in caught.value.message


@pytest.mark.parametrize("spec", [None, 3, [], {}])
def test_a_config_without_a_spec_is_refused(run_copy: Path, spec: object) -> None:
    change(run_copy / "config.json", spec=spec)
    with pytest.raises(CheckpointError, match="the spec in"):
        read_spec(run_copy)
