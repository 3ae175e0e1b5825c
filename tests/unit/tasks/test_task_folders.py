"""Model folders that are not whole: refused with everything that is wrong, before anything is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import heedful
from heedful.errors import CheckpointError, JobError
from heedful.training import Run


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        heedful.load(folder)
    assert caught.value.exit_code == 2
    return caught.value.message


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "task.json"])
def test_a_missing_file_is_named(run_copy: Path, name: str) -> None:
    (run_copy / name).unlink()
    with pytest.raises(CheckpointError) as caught:
        heedful.load(run_copy)
    assert str(run_copy) in caught.value.message
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "task.json"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(run_copy: Path, name: str, share: float) -> None:
    file = run_copy / name
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert str(file) in refusal(run_copy)


@pytest.mark.parametrize("name", ["nowhere", "README.md"])
def test_what_is_no_folder_is_refused(run: Run, name: str) -> None:
    assert refusal(run.folder / name) == f"there is no folder {str(run.folder / name)!r}"


def test_another_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} holds no model: neither task.json nor config.json is there"


@pytest.mark.parametrize("job", [None, 3, "clasification", []])
def test_another_job_is_refused(run_copy: Path, job: object) -> None:
    change(run_copy / "task.json", job=job)
    assert f"names the job {job!r}" in refusal(run_copy)


def test_all_faults_of_a_task_are_listed(run_copy: Path) -> None:
    change(run_copy / "task.json", temperature=0, labls=["x"], max_length="long", threshold=2)
    message = refusal(run_copy)
    assert message.startswith(f"{run_copy / 'task.json'} has 4 faults:")
    assert "temperature: Input should be greater than 0 (got 0)" in message
    assert "labls: unknown key; did you mean labels?" in message
    assert "max_length: Input should be a valid integer" in message
    assert "threshold: Input should be less than 1 (got 2)" in message


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (["card", "card", "weather"], "labels holds a label twice"),
        (["card", "weather"], "head.num_labels is 3, but there are 2 labels"),
        (["card"], "labels: Tuple should have at least 2 items"),
    ],
)
def test_labels_that_do_not_fit_are_refused(run_copy: Path, labels: list[str], fault: str) -> None:
    change(run_copy / "task.json", labels=labels)
    assert fault in refusal(run_copy)


def test_everything_wrong_with_the_weights_is_listed(run_copy: Path) -> None:
    file = run_copy / "model.safetensors"
    tensors = load_file(file)
    del tensors["head.output.bias"]
    tensors["head.output.weight"] = tensors["head.output.weight"].T.contiguous()
    save_file(tensors | {"stranger": torch.zeros(1)}, file)
    lines = refusal(run_copy).splitlines()[1:]
    assert lines == [
        "  missing head.output.bias (3,)",
        "  unexpected stranger (1,)",
        "  misshapen head.output.weight: (16, 3) stored, (3, 16) wanted",
    ]


def test_a_tokenizer_that_knows_more_than_the_model_is_refused(run_copy: Path) -> None:
    file = run_copy / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["one-more"] = len(vocabulary)
    file.write_text(json.dumps(tokenizer), encoding="utf-8")
    size = len(vocabulary)
    assert f"knows {size:,} tokens, and the model {size - 1:,}" in refusal(run_copy)


@pytest.mark.parametrize("when", ["weights", "later"])
def test_a_full_disk_while_saving_leaves_the_former_model_whole(
    run_copy: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch, small_files: Any, when: str
) -> None:
    before = {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()}
    classifier = heedful.load(run_copy)
    answers = classifier.predict(texts)
    torch.nn.init.normal_(classifier.head.output.weight)
    limit = 5_000 if when == "weights" else 300
    with small_files(limit), pytest.raises(JobError, match="the disk filled up") as caught:
        classifier.save(run_copy)
    assert caught.value.exit_code == 1
    assert {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()} == before
    assert not list(run_copy.glob(".saving-*"))
    assert heedful.load(run_copy).predict(texts) == answers


def test_the_model_card_says_what_the_model_is(run: Run) -> None:
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    _, metadata, text = card.split("---\n", 2)
    assert yaml.safe_load(metadata) == {
        "library_name": "heedful",
        "pipeline_tag": "text-classification",
        "tags": ["heedful"],
    }
    count = sum(parameter.numel() for parameter in run.task.network.model.parameters())
    accuracy = run.evaluations["test"].metrics["accuracy"]
    for fact in ("3 labels", f"{count:,} parameters", "32 tokens", "`weather`", f"| accuracy | {accuracy} |"):
        assert fact in text
    assert f"temperature {run.task.card.temperature:.3f}" in text
