"""``heedful evaluate`` on models that write: signatures, another model beside it, one language of several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import heedful

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call

GERMAN = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier"}
FRENCH = {"one": "un", "two": "deux", "three": "trois", "four": "quatre"}
TEXTS = [f"{a} {b} {c} {a}" for a in GERMAN for b in GERMAN for c in GERMAN]
TOY: dict[str, Any] = {
    "tokenizer": {"vocabulary_size": 320},
    "model": {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 64, "dropout": 0.0},
}


def written(text: str, words: dict[str, str]) -> str:
    return " ".join(words[word] for word in text.split())


def jsonl(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def trained(folder: Path, data: Path, *, steps: int, job: str = "translation", **columns: str) -> Path:
    training = {"max_steps": steps, "learning_rate": 0.005, "tokens_per_batch": 400, "threads": 1}
    task = {"job": job, "max_length": 16, "max_target_length": 16}
    run = heedful.train(
        {
            **TOY,
            "task": task,
            "data": {"train": str(data), "validation": None, "columns": columns},
            "training": {"epochs": 1000, **training},
            "output": str(folder),
        }
    )
    return run.folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data of two languages, test.jsonl of the German alone, and two models of both: much and little."""
    place = tmp_path_factory.mktemp("evaluated")
    rows = {
        code: [{"text": text, "target": written(text, words), "into": code} for text in TEXTS]
        for code, words in (("de", GERMAN), ("fr", FRENCH))
    }
    both = jsonl(place / "both.jsonl", rows["de"] + rows["fr"])
    jsonl(place / "test.jsonl", [{"text": row["text"], "target": row["target"]} for row in rows["de"]])
    for name, steps in (("much", 250), ("little", 5)):
        trained(place / name, both, steps=steps, target_language="into")
    return place


def test_two_models_on_rows_of_both_languages(call: Call, place: Path) -> None:
    answer = call("evaluate", place / "much", place / "both.jsonl", "--against", place / "little", "--resamples", 100)
    assert answer.exit_code == 0
    table = answer.stdout.partition("against ")[2]
    for metric in ("BLEU", "chrF", "chrF++"):
        line = next(line for line in table.splitlines() if line.split()[:1] == [metric])
        assert line.split()[-2:] == ["0.0099", "0.0010"], line
    for metric, said in (("BLEU", "tok:13a"), ("chrF", "nc:6|nw:0"), ("chrF++", "nc:6|nw:2")):
        signature = next(line for line in answer.stdout.splitlines() if f"{metric}: nrefs:1" in line)
        assert said in signature and "version:" in signature


def test_one_language_of_several_is_chosen_and_need_not_stand_in_the_rows(call: Call, place: Path) -> None:
    answer = call("evaluate", place / "much", place / "test.jsonl", "--to", "de", "--json", "--resamples", 0)
    assert json.loads(answer.stdout)["metrics"]["chrf"]["value"] > 95
    answer = call("evaluate", place / "much", place / "test.jsonl", "--to", "fr", "--json", "--resamples", 0)
    assert json.loads(answer.stdout)["metrics"]["chrf"]["value"] < 60
    answer = call("evaluate", place / "much", place / "test.jsonl")
    assert answer.exit_code == 2
    assert "no column 'into'" in answer.stderr
    answer = call("evaluate", place / "much", place / "test.jsonl", "--to", "tlh")
    assert answer.exit_code == 2
    assert "does not know the language 'tlh'; known: de, fr" in answer.stderr


def test_rouge_says_its_stemmer_and_that_lines_are_sentences(call: Call, tmp_path: Path) -> None:
    data = jsonl(tmp_path / "rows.jsonl", [{"text": text, "target": text.split()[0]} for text in TEXTS])
    run = trained(tmp_path / "run", data, steps=2, job="summarization")
    lines = call("evaluate", run, data, "--resamples", 0).stdout.splitlines()
    found = [line for line in lines if "stemmer:porter" in line]
    assert len(found) == 2
    assert "ROUGE-1, ROUGE-2, ROUGE-L: " in found[0] and "ROUGE-Lsum: " in found[1]
    assert "sentences:lines" in found[1]


def test_models_of_two_jobs_are_not_compared(call: Call, place: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", place / "test.jsonl", steps=1, job="summarization")
    answer = call("evaluate", place / "much", place / "both.jsonl", "--against", run)
    assert answer.exit_code == 2
    assert "was trained for summarization, not for translation" in answer.stderr
