"""Checkpoints that others trained, at the command line: from a folder and from the Hub's cache."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import yaml
from safetensors.torch import load_file

import heedful

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.conftest import Call, Program

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(scope="module")
def classifier_folder(bert_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small BERT with a head for three labels."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("foreign") / "classifier"
    shutil.copytree(bert_folder, folder)
    labels = {0: "card", 1: "transfer", 2: "weather"}
    config = BertConfig.from_pretrained(bert_folder, id2label=labels, num_labels=3)
    torch.manual_seed(2)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_it_predicts_and_is_evaluated(call: Call, classifier_folder: Path, tmp_path: Path) -> None:
    answer = call("predict", classifier_folder, text="card stolen\nrain\n")
    assert answer.exit_code == 0
    wanted = heedful.load(classifier_folder).predict(["card stolen", "rain"])
    assert [line.split("\t")[0] for line in answer.stdout.splitlines()] == [one.label for one in wanted]
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "rain", "label": "weather"}\n{"text": "pin", "label": "card"}\n', encoding="utf-8")
    figures = call("evaluate", classifier_folder, data, "--json")
    assert (figures.exit_code, json.loads(figures.stdout)["num_examples"]) == (0, 2)


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_without_a_head_it_is_refused(call: Call, bert_folder: Path, tmp_path: Path, verb: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "rain", "label": "weather"}\n', encoding="utf-8")
    answer = call(verb, bert_folder, data)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert (
        f"heedful: {bert_folder} holds a model of the family bert and no trained classification head" in answer.stderr
    )
    assert "model.checkpoint" in answer.stderr


def test_a_pickle_is_read_by_flag_only(call: Call, classifier_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(classifier_folder, tmp_path / "pickled"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused = call("predict", folder, text="rain\n")
    assert refused.exit_code == 2
    assert "--allow-pickle" in refused.stderr
    wanted = call("predict", classifier_folder, text="rain\n").stdout
    assert call("predict", folder, "--allow-pickle", text="rain\n").stdout == wanted


def test_a_revision_is_of_the_hub_only(call: Call, classifier_folder: Path) -> None:
    answer = call("predict", classifier_folder, "--revision", "main", text="rain\n")
    assert answer.exit_code == 2
    assert "a revision ('main') is of the Hub" in answer.stderr


def test_a_run_records_the_commit_that_it_began_from(
    program: Program, classifier_folder: Path, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    """From the Hub's cache, without a network."""
    kept = tmp_path / "home" / "hub" / "models--someone--bert"
    shutil.copytree(classifier_folder, kept / "snapshots" / COMMIT)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    options = {"env": os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}}
    answer = program("predict", "someone/bert", "--revision", "main", input="rain\n", **options)
    assert (answer.returncode, answer.stdout.count("\n")) == (0, 1), answer.stderr
    overrides = ["model=null", "tokenizer=null", "model.checkpoint=someone/bert", "training.max_steps=1"]
    done = program("train", recipe_file(), *overrides, "task.max_length=32", **options)
    assert done.returncode == 0, done.stderr
    assert "the head goes on from the checkpoint's: the labels are the same" in done.stderr
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8"))
    assert (recipe["model"]["checkpoint"], recipe["model"]["revision"]) == ("someone/bert", COMMIT)
    again = program("train", tmp_path / "run" / "recipe.yaml", f"output={tmp_path / 'again'}", **options)
    assert again.returncode == 0, again.stderr
