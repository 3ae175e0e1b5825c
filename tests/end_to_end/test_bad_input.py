"""Whatever a user gets wrong: a message that names it, an exit code, no traceback, nothing lost or half-written."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import heedful

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call, Program

RecipeFile = Callable[..., Path]
GOOD = '{"text": "card stolen", "label": "card"}\n{"text": "rain", "label": "weather"}\n'


@dataclass(frozen=True)
class BadFile:
    """A data file that cannot be used as it is."""

    name: str
    content: bytes
    told: str
    """A pattern of what the message says."""


BAD_FILES = {
    "empty file": BadFile("rows.jsonl", b"", "rows.jsonl holds no rows"),
    "header only": BadFile("rows.csv", b"text,label\n", "rows.csv holds no rows"),
    "missing column": BadFile("rows.csv", b"txt,label\nrain,weather\n", "no column 'text'; did you mean txt"),
    "duplicate column": BadFile("rows.csv", b"text,label,text\nrain,weather,x\n", "the column 'text' twice"),
    "not UTF-8": BadFile("rows.jsonl", GOOD.encode() + b'{"text": "caf\xe9"}\n', "line 3: .*UTF-8"),
    "not JSON": BadFile("rows.jsonl", GOOD.encode() + b'{"text": \n', "line 3: .*JSON"),
    "truncated gzip": BadFile("rows.jsonl.gz", gzip.compress(GOOD.encode() * 500)[:-20], "rows.jsonl.gz"),
    "no gzip": BadFile("rows.jsonl.gz", GOOD.encode(), "rows.jsonl.gz"),
    "no parquet": BadFile("rows.parquet", GOOD.encode(), "rows.parquet"),
    "NUL byte": BadFile("rows.jsonl", GOOD.encode() + rb'{"text": "a\u0000b", "label": "card"}', "line 3: .*NUL"),
    "ten million characters": BadFile(
        "rows.jsonl", GOOD.encode() + json.dumps({"text": "a" * 10**7, "label": "card"}).encode(), "line 3: .*longer"
    ),
    "empty text": BadFile("rows.jsonl", GOOD.encode() + b'{"text": " ", "label": "card"}', "line 3: .*empty"),
    "unknown ending": BadFile("rows.dat", GOOD.encode(), "rows.dat does not tell its format"),
}
UNUSABLE_ROWS = ["ten million characters", "not UTF-8", "not JSON", "NUL byte", "empty text"]
BAD_PLACES = {"missing": "nosuch.jsonl", "a folder without data": ".", "no such data set": "helpdesk:nosuch"}


def assert_refused(answer: Any, told: str, exit_code: int = 2) -> None:
    assert answer.exit_code == exit_code, answer.stderr
    assert re.search("^heedful: ", answer.stderr, re.MULTILINE)
    assert "Traceback" not in answer.stdout + answer.stderr
    assert re.search(told, answer.stderr), answer.stderr


@pytest.fixture
def written(tmp_path: Path) -> Callable[[BadFile], Path]:
    """Write a bad file to a folder of its own."""

    def write(bad: BadFile) -> Path:
        path = tmp_path / "data" / bad.name
        path.parent.mkdir()
        path.write_bytes(bad.content)
        return path

    return write


@pytest.mark.parametrize("fault", BAD_FILES)
def test_training_data_that_cannot_be_used(
    call: Call, recipe_file: RecipeFile, tmp_path: Path, written: Callable[[BadFile], Path], fault: str
) -> None:
    answer = call("train", recipe_file(), f"data.train={written(BAD_FILES[fault])}")
    assert_refused(answer, BAD_FILES[fault].told)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
@pytest.mark.parametrize("fault", BAD_FILES)
def test_data_that_cannot_be_answered(
    call: Call, model: Path, written: Callable[[BadFile], Path], verb: str, fault: str
) -> None:
    assert_refused(call(verb, model, written(BAD_FILES[fault])), BAD_FILES[fault].told)


@pytest.mark.parametrize("fault", UNUSABLE_ROWS)
def test_unusable_rows_are_skipped_and_counted(
    call: Call, model: Path, recipe_file: RecipeFile, written: Callable[[BadFile], Path], fault: str
) -> None:
    path = written(BAD_FILES[fault])
    predicted = call("predict", model, path, "--on-bad-row", "skip")
    assert (predicted.exit_code, predicted.stdout.count("\n")) == (0, 2)
    evaluated = call("evaluate", model, path, "--on-bad-row", "skip")
    trained = call("train", recipe_file(), f"data.train={path}", "data.validation=null", "data.on_bad_row=skip")
    for answer, stream in ((predicted, "stderr"), (evaluated, "stdout"), (trained, "stderr")):
        assert answer.exit_code == 0
        told = getattr(answer, stream)
        assert "1 bad row skipped" in told
        assert re.search(BAD_FILES[fault].told, told)


@pytest.mark.parametrize("place", BAD_PLACES)
@pytest.mark.parametrize("verb", ["train", "evaluate", "predict"])
def test_data_that_are_not_there(call: Call, model: Path, recipe_file: RecipeFile, verb: str, place: str) -> None:
    data = BAD_PLACES[place]
    answer = call("train", recipe_file(), f"data.train={data}") if verb == "train" else call(verb, model, data)
    assert_refused(answer, re.escape(data.partition(":")[2] or data))


def test_empty_standard_input(call: Call, model: Path) -> None:
    assert_refused(call("predict", model, text=""), "standard input holds no rows")


def test_one_class_only(call: Call, recipe_file: RecipeFile, tmp_path: Path) -> None:
    rows = [{"text": f"rain {number}", "label": "weather"} for number in range(9)]
    assert_refused(call("train", recipe_file(rows)), "only the label 'weather'")
    assert not (tmp_path / "run").exists()


def test_label_that_training_never_saw(call: Call, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "rain", "label": "wether"}\n', encoding="utf-8")
    answer = call("evaluate", model, path)
    assert_refused(answer, "'wether'")
    assert "did you mean weather?" in answer.stderr


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["training.epoch=3"], "training.epoch: unknown key; did you mean epochs"),
        (["trainning.epochs=3"], "trainning: unknown key; did you mean training"),
        (["training.epochs=many"], r"training.epochs: .*number.*'many'"),
        (["training.epochs=-1"], "training.epochs: .*greater than 0"),
        (["model.d_model=30", "model.num_heads=4"], "d_model"),
        (["task.job=translate"], "task.job"),
        (["training.select_by=acuracy"], "acuracy.*\\n?.*did you mean accuracy"),
        (["epochs"], "'epochs' is no override"),
        (["training.epochs=[1"], "not valid YAML"),
        (["training.epochs.more=1"], "training.epochs.more"),
        (["output=null"], "output"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_recipe_with_a_fault(
    call: Call, recipe_file: RecipeFile, tmp_path: Path, overrides: list[str], told: str
) -> None:
    assert_refused(call("train", recipe_file(), *overrides), told)
    assert not (tmp_path / "run").exists()


def test_all_faults_of_a_recipe_at_once(call: Call, recipe_file: RecipeFile) -> None:
    answer = call("train", recipe_file(), "training.epoch=3", "model.d_model=x", "seed=-1")
    assert_refused(answer, "3 faults")
    assert all(place in answer.stderr for place in ("training.epoch", "model.d_model", "seed"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("recipe.yaml", b"task: [", "not valid YAML"),
        ("recipe.yaml", b"\xff\xfe", "not valid YAML"),
        ("recipe.yaml", b"- a\n- b\n", "holds no recipe"),
        ("recipe.yaml", b"", "holds no recipe"),
        ("recipe.yaml", b"a: 1\n" * 300_000, "larger than a recipe"),
        ("other.yaml", b"", "no recipe .*recipe.yaml"),
    ],
    ids=["broken", "binary", "list", "empty", "huge", "missing"],
)
def test_file_that_is_no_recipe(call: Call, tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert_refused(call("train", tmp_path / "recipe.yaml"), told)


def test_folder_instead_of_a_recipe(call: Call, tmp_path: Path) -> None:
    assert_refused(call("train", tmp_path), "no recipe")


def test_unknown_recipe_names_those_that_ship(call: Call) -> None:
    answer = call("train", "banking78")
    assert_refused(answer, "no recipe banking78")
    assert "banking77" in answer.stderr


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_folder_without_a_model(call: Call, tmp_path: Path, verb: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(GOOD, encoding="utf-8")
    assert_refused(call(verb, tmp_path / "nosuch", data), "no folder .*nosuch")
    assert_refused(call(verb, data, data), "rows.jsonl")
    assert_refused(call(verb, tmp_path, data), "task.json")


@pytest.mark.parametrize("file", ["task.json", "config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_model(call: Call, run_copy: Path, file: str, damage: str) -> None:
    whole = (run_copy / file).read_bytes()
    (run_copy / file).unlink()
    if damage == "cut":
        (run_copy / file).write_bytes(whole[: len(whole) // 2])
    assert_refused(call("predict", run_copy, text="rain\n"), re.escape(file))


def test_output_folder_that_holds_another_run(call: Call, recipe_file: RecipeFile, run_copy: Path) -> None:
    before = {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()}
    assert_refused(call("train", recipe_file(), f"output={run_copy}"), "holds another run")
    assert {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()} == before
    assert call("train", recipe_file(), f"output={run_copy}", "overwrite=true").exit_code == 0


def test_output_that_is_a_file_or_full_of_other_things(call: Call, recipe_file: RecipeFile, tmp_path: Path) -> None:
    file = tmp_path / "things" / "thing"
    file.parent.mkdir()
    file.write_text("mine", encoding="utf-8")
    assert_refused(call("train", recipe_file(), f"output={file}"), "is a file")
    assert_refused(call("train", recipe_file(), f"output={file.parent}", "overwrite=true"), "not empty")
    assert [path.read_text(encoding="utf-8") for path in file.parent.iterdir()] == ["mine"]


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A folder that nobody may write to; permissions do not stop root, the kernel's own folder does."""
    if os.geteuid() == 0:
        return Path("/proc/heedful")
    tmp_path.joinpath("locked").mkdir(mode=0o555)
    return tmp_path / "locked" / "run"


def test_output_folder_that_is_read_only(
    call: Call, model: Path, recipe_file: RecipeFile, unwritable: Path, tmp_path: Path
) -> None:
    assert_refused(call("train", recipe_file(), f"output={unwritable}"), "read-only|cannot write")
    data = tmp_path / "rows.jsonl"
    assert_refused(call("evaluate", model, data, "--output", unwritable), "read-only|cannot write")


def test_full_disk_keeps_the_earlier_model(
    program: Program, recipe_file: RecipeFile, run_copy: Path, rows: tuple[dict[str, Any], ...]
) -> None:
    def fill_up() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    path = recipe_file(model={"d_model": 128, "d_ff": 128})
    before = (run_copy / "model.safetensors").read_bytes()
    done = program("train", path, f"output={run_copy}", "overwrite=true", preexec_fn=fill_up)
    assert done.returncode == 1
    assert "the disk filled up" in done.stderr
    assert "Traceback" not in done.stderr
    assert (run_copy / "model.safetensors").read_bytes() == before
    assert len(heedful.load(run_copy).predict([row["text"] for row in rows])) == len(rows)
    assert not list(run_copy.rglob(".saving-*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_training_keeps_its_last_state(
    heedful_path: Path, recipe_file: RecipeFile, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [str(heedful_path), "train", str(recipe_file()), "training.epochs=10000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        assert any(line.startswith("epoch") for line in process.stderr)
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.stdout.read() == ""
    assert process.returncode == code, rest
    assert f"heedful: stopped by {number.name}" in rest
    assert "Traceback" not in rest
    last = heedful.load(tmp_path / "run" / "last")
    assert len(last.predict(["card stolen"])) == 1
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert records
