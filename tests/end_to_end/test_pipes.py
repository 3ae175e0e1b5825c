"""heedful between other programs: standard input and output, JSON, and readers that leave early."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import heedful

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call, Program

SUMMARY = r"heedful: {} in \d+\.\d s, [\d,]+ a second, padding \d+\.\d%"
Rows = tuple[dict[str, Any], ...]


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)


def write_lines(path: Path, rows: Rows) -> None:
    path.write_text("".join(f"{row['text']}\n" for row in rows), encoding="utf-8")


def write_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "txt": write_lines}


@pytest.mark.parametrize("ending", WRITERS)
def test_answers_of_a_file_are_those_of_python(
    call: Call, model: Path, rows: Rows, texts: list[str], tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"texts.{ending}"
    WRITERS[ending](path, rows)
    answer = call("predict", model, path)
    wanted = [
        f"{one.label}\t{one.score:.3f}\t{text}"
        for text, one in zip(texts, heedful.load(model).predict(texts), strict=True)
    ]
    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == wanted
    assert len({line.split("\t")[0] for line in wanted}) == 3


@pytest.mark.parametrize("argument", [[], ["-"]], ids=["nothing", "dash"])
@pytest.mark.parametrize("text", ["card stolen\n雨 wind\n", '{"text": "card stolen"}\n{"text": "雨 wind"}\n'])
def test_standard_input_is_read(call: Call, model: Path, argument: list[str], text: str) -> None:
    answer = call("predict", model, *argument, text=text)
    assert answer.exit_code == 0
    assert [line.split("\t")[2] for line in answer.stdout.splitlines()] == ["card stolen", "雨 wind"]


def test_one_json_object_for_each_text(call: Call, model: Path) -> None:
    answer = call("predict", model, "--json", "--top", "2", text="card stolen\nrain\n")
    first, second = map(json.loads, answer.stdout.splitlines())
    assert first["label"] == "card"
    assert second["labels"] == [second["label"]] == ["weather"]
    assert list(first["scores"]) == sorted(first["scores"], key=first["scores"].get, reverse=True)
    assert len(first["scores"]) == 2
    assert first["score"] == first["scores"]["card"]
    assert (first["cut_tokens"], first["windows"]) == (0, 1)


def test_json_keeps_standard_output_for_itself(call: Call, model: Path, recipe_file: Callable[..., Path]) -> None:
    trained = call("train", recipe_file(), "--json")
    told = json.loads(trained.stdout)
    assert Path(told["folder"], "model.safetensors").is_file()
    assert told["steps"] >= told["best_step"] > 0
    assert 0 <= told["evaluations"]["validation"]["metrics"]["accuracy"]["value"] <= 1
    assert "30 validation" in trained.stderr
    rows = recipe_file().parent / "rows.jsonl"
    evaluated = json.loads(call("evaluate", model, rows, "--json").stdout)
    assert evaluated["num_examples"] == 120


def test_padding_and_rate_are_told_beside_the_answers(call: Call, model: Path, texts: list[str]) -> None:
    answer = call("predict", model, text="\n".join(texts))
    assert re.fullmatch(SUMMARY.format("120 texts") + "\n", answer.stderr), answer.stderr
    assert re.fullmatch(SUMMARY.format("1 text") + "\n", call("predict", model, text="rain").stderr)


def test_evaluation_tells_its_padding(call: Call, model: Path, rows: Rows, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows)
    answer = call("evaluate", model, tmp_path / "rows.jsonl", "--output", tmp_path / "report")
    assert answer.exit_code == 0
    assert "padding" in answer.stdout
    assert "accuracy" in answer.stdout
    assert (tmp_path / "report" / "evaluation.json").is_file()


def test_long_lines_are_not_folded_in_a_pipe(call: Call, model: Path, rows: Rows, tmp_path: Path) -> None:
    name = "a-long-name-" * 12
    write_jsonl(tmp_path / f"{name}.jsonl", ({"text": "", "label": "card"}, *rows))
    predicted = call("predict", model, tmp_path / f"{name}.jsonl", "--on-bad-row", "skip")
    assert f"{name}.jsonl, line 1: the text in column 'text' is empty\n" in predicted.stderr
    evaluated = call("evaluate", model, tmp_path / f"{name}.jsonl", "--on-bad-row", "skip")
    assert "1 bad row skipped" in evaluated.stdout
    assert "line 1: the text in column 'text' is empty" in evaluated.stdout


def test_a_text_cannot_steer_the_terminal(call: Call, model: Path) -> None:
    answer = call("predict", model, text="will it \x1b[31mrain\x07 today\n")
    assert answer.stdout.endswith("\twill it [31mrain today\n")


def test_columns_by_name(call: Call, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("body,intent\ncard stolen,card\nrain,weather\n", encoding="utf-8")
    assert call("predict", model, path, "--text-column", "body").stdout.count("\n") == 2
    named = call("evaluate", model, path, "--text-column", "body", "--label-column", "intent", "--json")
    assert json.loads(named.stdout)["num_examples"] == 2


def test_reader_may_leave_early(heedful_path: Path, model: Path, many_texts: Path) -> None:
    pipeline = f"{shlex.join(map(str, [heedful_path, 'predict', model, many_texts]))} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", pipeline], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert (done.returncode, done.stderr) == (0, "")


def test_full_disk_behind_standard_output(program: Program, model: Path, many_texts: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = program("predict", model, many_texts, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "heedful: No space left on device\n"


def test_characters_that_the_output_cannot_show(program: Program, model: Path) -> None:
    done = program("predict", model, input="雨 wind\n", env=os.environ | {"PYTHONIOENCODING": "ascii:strict"})
    assert done.returncode == 0


def test_ctrl_c_ends_a_prediction(heedful_path: Path, model: Path, many_texts: Path) -> None:
    with subprocess.Popen(
        [heedful_path, "predict", model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(many_texts.read_text(encoding="utf-8"))
        process.stdin.flush()
        assert process.stdout.readline().count("\t") == 2
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        process.stdout.read()
        assert process.stderr.read() == "heedful: interrupted\n"
    assert process.returncode == 130


@pytest.mark.parametrize("as_json", [False, True])
def test_answers_stay_side_by_side_with_the_lines_of_a_text(
    call: Call, model: Path, tmp_path: Path, as_json: bool
) -> None:
    """As `paste` puts them: blank lines at the beginning, within, and at the end have answers too."""
    lines = ["", "card stolen", "   ", "", "雨 wind", ""]
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    answer = call("predict", model, path, *(["--json"] if as_json else []))
    assert answer.exit_code == 0
    assert "heedful: 4 blank lines have no text, and so no answer" in answer.stderr
    rows = answer.stdout.splitlines()
    assert len(rows) == len(lines)
    for line, row in zip(lines, rows, strict=True):
        label = json.loads(row)["label"] if as_json else row.split("\t")[0]
        assert (label in (None, "-")) == (not line.strip())
        if not as_json:
            assert row.split("\t")[2] == line.strip()
    if not as_json:
        assert rows[0] == "-\t0.000\t"
    plain = call("predict", model, text="card stolen\n雨 wind\n").stdout.splitlines()
    assert as_json or [row for row in rows if not row.startswith("-")] == plain
