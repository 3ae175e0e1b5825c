"""The recipes on the real data sets: minutes each, so `make acceptance DATA=folder` runs them, not `make test`.

The folder holds one folder a data set with gzip-compressed JSON Lines (see the recipes for what is in them).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import heedful

DATA = os.environ.get("HEEDFUL_ACCEPTANCE_DATA", "")
MAX_TRAINING_SECONDS = 15 * 60

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not DATA, reason="needs the real data sets: make acceptance DATA=folder"),
]


@dataclass(frozen=True)
class Case:
    """A recipe, its files, and the accuracy that it must reach on the test file."""

    recipe: str
    files: dict[str, str]
    accuracy: float


CASES = [
    Case("banking77", {"train": "train.jsonl.gz", "test": "test.jsonl.gz"}, 0.910),
    Case(
        "clinc150",
        {"train": "train.jsonl.gz", "validation": "val.jsonl.gz", "test": "test.jsonl.gz"},
        0.925,
    ),
    Case("tnews", {"train": "train.jsonl.gz", "test": "dev.jsonl.gz"}, 0.530),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.recipe)
def test_recipe_reaches_its_accuracy_in_time(case: Case, tmp_path: Path) -> None:
    data = {name: str(Path(DATA, case.recipe, file)) for name, file in case.files.items()}
    started = time.monotonic()
    run = heedful.train(case.recipe, data=data, output=str(tmp_path / "run"))
    assert time.monotonic() - started <= MAX_TRAINING_SECONDS
    assert run.evaluations["test"].metrics["accuracy"].value >= case.accuracy
    if case.recipe == "clinc150":
        assert run.evaluations["test"].extra["out_of_scope_auroc"] > 0.9
