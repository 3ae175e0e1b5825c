"""``heedful explain`` as a user meets it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import heedful
from heedful.training import Run

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call

TEXT = "is my plastic not a today"


def test_words_are_shown_with_the_sum_written_out(call: Call, run: Run) -> None:
    answer = call("explain", run.folder, TEXT)
    assert answer.exit_code == 0
    assert "card" in answer.stdout and "plastic" in answer.stdout
    assert re.search(r"tokens [+−][\d.]+, bias [+−][\d.]+ = logit [-−]?[\d.]+ ✓", answer.stdout)
    assert "\x1b" not in answer.stdout  # no colours where nobody sees them


def test_a_class_can_be_asked_for_and_set_against_another(call: Call, run: Run) -> None:
    answer = call("explain", run.folder, TEXT, "--class", "weather", "--against", "transfer", "--json")
    told = json.loads(answer.stdout)
    assert (told["label"], told["against"]) == ("weather", "transfer")
    logits = {name: heedful.explain(run.task, TEXT, target=name).logit for name in ("weather", "transfer")}
    assert told["logit"] == pytest.approx(logits["weather"] - logits["transfer"], abs=1e-4)


def test_several_explanations_are_a_list_of_json(call: Call, run: Run) -> None:
    told = json.loads(call("explain", run.folder, TEXT, "--beside", "rain", "--json").stdout)
    assert [one["text"] for one in told] == [TEXT, "rain"]


def test_the_text_can_come_from_standard_input(call: Call, run: Run) -> None:
    answer = call("explain", run.folder, "-", "--json", text=f"{TEXT}\n")
    assert json.loads(answer.stdout)["text"] == TEXT


@pytest.mark.parametrize("name", ["why.html", "why.json", "why.svg", "why.png"])
def test_an_explanation_is_saved_as_its_name_says(call: Call, run: Run, tmp_path: Path, name: str) -> None:
    assert call("explain", run.folder, TEXT, "-o", tmp_path / name).exit_code == 0
    content = (tmp_path / name).read_bytes()
    assert content.startswith({"html": b"<!doctype html>", "json": b"{", "svg": b"<?xml", "png": b"\x89PNG"}[name[4:]])
    if name == "why.html":
        assert b"plastic" in content and b"weather" in content  # other labels can be switched to


def test_texts_models_and_attention_stand_side_by_side(call: Call, run: Run, tmp_path: Path) -> None:
    options = ["--beside", "rain and wind", "--other-model", run.folder, "--attention", "-o", tmp_path / "why.html"]
    answer = call("explain", run.folder, TEXT, *options)
    assert answer.exit_code == 0, answer.stderr
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert [view["kind"] for view in data] == ["classification"] * 3 + ["attention"]
    assert "rain and wind" in data[1]["name"]


def test_a_translation_is_explained(call: Call, translator: Path, tmp_path: Path) -> None:
    answer = call("explain", translator, "red dog", "-o", tmp_path / "why.html", "--attention")
    assert answer.exit_code == 0, answer.stderr
    assert "hund" in answer.stdout
    told = json.loads(call("explain", translator, "red dog", "--answer", "rot hund", "--json").stdout)
    assert told["answer"] == "rot hund"
    assert told["words"] == ["red", "dog"]
    hidden = json.loads(call("explain", translator, "red dog", "--by-sentence", "--json").stdout)
    assert hidden["words"] == ["red dog"]


def test_faithfulness_is_measured_and_shown_with_later_explanations(
    call: Call, run_copy: Path, jsonl: Callable[..., Path], rows: tuple[dict[str, Any], ...]
) -> None:
    before = heedful.load(run_copy).predict([TEXT])
    answer = call("explain", run_copy, "--faithfulness", jsonl(rows[:12]), "--limit", "8")
    assert answer.exit_code == 0, answer.stderr
    for row in ("contributions", "leave one out", "random"):
        assert row in answer.stdout
    assert "8 texts" in answer.stdout
    after = heedful.load(run_copy)
    assert after.predict([TEXT]) == before
    explanation = heedful.explain(after, TEXT)
    assert explanation.faithfulness and "comprehensiveness" in explanation.faithfulness
    assert "comprehensiveness" in call("explain", run_copy, TEXT).stdout


def test_heads_are_weighed(call: Call, run: Run, jsonl: Callable[..., Path], rows: tuple[dict[str, Any], ...]) -> None:
    answer = call("explain", run.folder, "--heads", jsonl(rows[:12]), "--json")
    told = json.loads(answer.stdout)
    assert told["num_examples"] == 12
    assert len(told["heads"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to explain"),
        (["text", "--heads", "helpdesk:test"], "TEXT and --heads are given"),
        ([TEXT, "--class", "wether"], "'wether' is no label"),
        ([TEXT, "--against", "rain"], "'rain' is no label"),
        ([TEXT, "--method", "magic"], "'magic' is no method"),
        ([TEXT, "--answer", "rain"], "--answer is for models that write"),
        ([TEXT, "-o", "why.pdf"], "cannot save an explanation as why.pdf"),
        ([TEXT, "--beside", "rain", "-o", "why.svg"], "holds one explanation"),
        ([TEXT, "--attention"], "part of a report"),
        (["--heads", "helpdesk:test", "-o", "why.html"], "cannot be saved as why.html"),
        ([" "], "is empty"),
        (["--faithfulness", "missing.jsonl"], "missing.jsonl"),
    ],
)
def test_a_wrong_request_is_explained(
    call: Call, run: Run, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call("explain", run.folder, *arguments)
    assert answer.exit_code == 2
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list(tmp_path.iterdir())
