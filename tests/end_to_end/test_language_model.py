"""A language model of others becomes a translator on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.language_models import gpt2

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call

WORDS = {"read": "lies", "file": "Datei", "run": "lauf", "model": "Modell", "token": "Zeichen", "text": "Text"}
RECIPE = """
task:
  job: translation
  max_length: 60
  max_target_length: 16
  prompt:
    template: "Into German: {text}"
    chat: true
training:
  epochs: 120
  learning_rate: 0.01
  tokens_per_batch: 100
  threads: 1
  evaluate_every: 60
"""


def test_it_learns_pairs_and_answers(call: Call, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    gpt2(tmp_path / "checkpoint")
    pairs, recipe, run = tmp_path / "pairs.jsonl", tmp_path / "recipe.yaml", tmp_path / "run"
    rows = [{"text": word, "target": other} for word, other in WORDS.items()]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe.write_text(RECIPE, encoding="utf-8")
    places = [f"data.train={pairs}", f"data.validation={pairs}", f"output={run}"]
    trained = call("train", recipe, *places, f"model.checkpoint={tmp_path / 'checkpoint'}")
    assert trained.exit_code == 0, trained.stderr
    card = json.loads((run / "task.json").read_text(encoding="utf-8"))
    assert card["prompt"] == {"template": "Into German: {text}", "chat": True}
    answers = call("predict", run, text="".join(f"{word}\n" for word in WORDS)).stdout.splitlines()
    assert sum(answer == target for answer, target in zip(answers, WORDS.values(), strict=True)) >= 5
    measured = call("evaluate", run, pairs, "--json", "--resamples", 0)
    assert json.loads(measured.stdout)["metrics"]["chrf"]["value"] > 70
