"""Translation on the command line: from two files whose lines belong together to answers and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.end_to_end.toy_translation import SENTENCES, TOY, translated

import heedful
from heedful.training import parse_overrides

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call


def test_each_line_is_answered_by_its_translation(call: Call, translator: Path) -> None:
    answer = call("predict", translator, text="dog red blue\ncat green bird\n")
    assert answer.exit_code == 0
    assert answer.stdout == "hund rot blau\nkatze grün vogel\n"
    assert "2 texts" in answer.stderr


def test_a_blank_line_stays_blank(call: Call, translator: Path) -> None:
    answer = call("predict", translator, text="dog red blue\n\ncat green bird\n")
    assert answer.stdout == "hund rot blau\n\nkatze grün vogel\n"
    assert "1 blank lines have no text, and so no answer" in answer.stderr


def test_json_tells_how_sure_and_whether_it_is_complete(call: Call, translator: Path) -> None:
    (line,) = call("predict", translator, "--json", text="dog red blue\n").stdout.splitlines()
    record = json.loads(line)
    assert -3 < record.pop("score") < 0
    told = {"text": "hund rot blau", "cut_tokens": 0, "is_complete": True, "alternatives": [], "origin": "model"}
    assert record | told == record


def test_pairs_are_measured_from_two_files_and_from_any_columns(
    call: Call, translator: Path, pair_files: Path, tmp_path: Path
) -> None:
    answer = call(
        "evaluate", translator, f"{pair_files / 'all.en'}+{pair_files / 'all.de'}", "--json", "--resamples", 0
    )
    metrics = json.loads(answer.stdout)["metrics"]
    assert list(metrics) == ["bleu", "chrf", "chrfpp"]
    assert metrics["chrf"]["value"] > 95
    rows = [
        {"english": line, "german": translated(line) if number else "falsch"} for number, line in enumerate(SENTENCES)
    ]
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    answer = call(
        "evaluate",
        translator,
        table,
        "--text-column",
        "english",
        "--target-column",
        "german",
        "--output",
        tmp_path / "report",
    )
    assert answer.exit_code == 0
    assert "BLEU" in answer.stdout
    report = json.loads((tmp_path / "report" / "evaluation.json").read_text(encoding="utf-8"))
    assert 80 < report["metrics"]["chrf"]["value"] < 100
    assert not (tmp_path / "report" / "per_class.csv").exists()


def test_the_job_that_is_asked_for_has_to_be_that_of_the_run(call: Call, translator: Path, pair_files: Path) -> None:
    assert call("predict", translator, "--task", "translation", text="dog red blue\n").stdout == "hund rot blau\n"
    for verb in (("predict", translator), ("evaluate", translator, pair_files / "all.en")):
        answer = call(*verb, "--task", "classification", text="red\n")
        assert answer.exit_code == 2
        assert "was trained for translation, not for classification" in answer.stderr
    answer = call("predict", translator, "--task", "translate", text="red\n")
    assert "'translate' is no task; did you mean translation?" in answer.stderr


def test_a_column_without_targets_is_named(call: Call, translator: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "red", "german": "rot"}\n', encoding="utf-8")
    answer = call("evaluate", translator, tmp_path / "a.jsonl", "--text-column", "text")
    assert answer.exit_code == 2
    assert "target" in answer.stderr


def test_the_recipe_that_a_run_leaves_trains_the_same_again(pair_files: Path, tmp_path: Path) -> None:
    pair = f"{pair_files / 'all.en'}+{pair_files / 'all.de'}"
    given: dict[str, Any] = {
        **parse_overrides(TOY),
        "training.max_steps": 3,
        "data.train": pair,
        "data.validation": pair,
    }
    run = heedful.train("multi30k_en_de", **given, output=tmp_path / "once")
    again = heedful.train(run.folder / "recipe.yaml", output=tmp_path / "again")
    for name in ("task.json", "model.safetensors"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name
