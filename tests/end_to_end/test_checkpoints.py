"""``heedful doctor``, ``convert`` and ``families`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from heedful.families import FAMILIES

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call, Program


def test_the_doctor_finds_a_run_healthy(call: Call, model: Path) -> None:
    answer = call("doctor", model)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout.startswith(f"{model}: a model and run of heedful\n")
    for part in ("vocabulary", "encoder", "head", "tokenizer", "weights"):
        assert f"\n  {part} " in answer.stdout
    assert answer.stdout.endswith("Healthy.\n")


def test_the_doctor_tells_what_is_wrong_and_fails(call: Call, run_copy: Path) -> None:
    tensors = load_file(run_copy / "model.safetensors")
    tensors["head.output.bias"][1] = torch.nan
    save_file({f"module.{name}": tensor for name, tensor in tensors.items()}, run_copy / "model.safetensors")
    answer = call("doctor", run_copy)
    assert answer.exit_code == 1
    assert "✗ " in answer.stdout
    assert "→ rename module.X to X" in answer.stdout
    assert "1 is not a number (NaN)" in answer.stdout
    assert answer.stdout.endswith("Not healthy.\n")


def test_the_doctor_tells_machines_everything(call: Call, run_copy: Path) -> None:
    tensors = load_file(run_copy / "model.safetensors")
    save_file(tensors | {"odd": torch.ones(2)}, run_copy / "model.safetensors")
    answer = call("doctor", run_copy, "--json")
    diagnosis = json.loads(answer.stdout)
    assert answer.exit_code == 1
    assert diagnosis["healthy"] is False
    assert diagnosis["form"] == "heedful"
    assert diagnosis["shapes"]["odd"] == [2]
    [finding] = diagnosis["findings"]
    assert set(finding) == {"severity", "kind", "what", "cause", "remedy", "names"}
    assert (finding["severity"], finding["kind"], finding["names"]) == ("error", "unexpected", ["odd"])


@pytest.mark.parametrize("checkpoint", ["no-such-folder", "../outside/../x", "/dev/null"])
def test_the_doctor_has_nothing_to_look_at(call: Call, checkpoint: str) -> None:
    answer = call("doctor", checkpoint)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "heedful: " in answer.stderr


def test_names_in_a_checkpoint_cannot_steer_the_terminal(call: Call, run_copy: Path) -> None:
    tensors = load_file(run_copy / "model.safetensors")
    save_file(tensors | {"\x1b[2Jodd[bold]\n": torch.ones(2)}, run_copy / "model.safetensors")
    answer = call("doctor", run_copy)
    assert answer.exit_code == 1
    assert "\x1b" not in answer.stdout
    assert "[2Jodd[bold]" in answer.stdout


def test_the_doctor_shows_how_far_it_is_at_a_terminal_only(program: Program, model: Path) -> None:
    done = program("doctor", str(model))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_model_of_our_own_is_not_converted(call: Call, model: Path, tmp_path: Path) -> None:
    answer = call("convert", model, tmp_path / "out", "--to", "huggingface")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "it began in no family of checkpoints" in answer.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_is_written_anew(call: Call, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = call("convert", model, out, "--to", "heedful", "--dtype", "float16", "--shard-size", "4KB", "--json")
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["dtypes"]) == (0, ["float16"])
    assert sum(name.startswith("model-") for name in told["files"]) > 1
    texts = "alpha\nbeta\n"
    before, after = (call("predict", folder, text=texts) for folder in (model, out))
    assert [line.split("\t")[0] for line in before.stdout.splitlines()] == [
        line.split("\t")[0] for line in after.stdout.splitlines()
    ]
    again = call("convert", model, out, "--to", "heedful")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    answer = call("convert", model, out, "--to", "heedful", "--overwrite")
    assert answer.exit_code == 0
    assert answer.stdout.startswith(f"{out}: the same model, ")
    assert "model.safetensors.index.json" not in answer.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "heedful", "--shard-size", "much"], "'much' is no size of a file"),
        (["--to", "gguf"], "'gguf'"),
        (["--to", "heedful", "--dtype", "int8"], "'int8'"),
        ([], "--to"),
    ],
)
def test_a_wrong_request_is_explained(call: Call, model: Path, tmp_path: Path, options: list[str], words: str) -> None:
    answer = call("convert", model, tmp_path / "out", *options)
    assert answer.exit_code == 2
    assert words in answer.stderr


def test_the_families_are_listed(call: Call) -> None:
    answer = call("families")
    assert answer.exit_code == 0
    assert all(f" {name} " in answer.stdout for name in FAMILIES)
    rows = json.loads(call("families", "--json").stdout)
    assert {row["family"] for row in rows} == set(FAMILIES)
    assert set(rows[0]) == {"family", "kind", "jobs", "architectures", "refused"}
