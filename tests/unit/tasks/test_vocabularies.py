"""Models whose texts and answers have a vocabulary each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import heedful
from heedful.errors import CheckpointError, RecipeError, SpecError
from heedful.tasks import Translator
from heedful.text import Side
from heedful.training import Run, train

WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "red": "rot", "green": "grün", "blue": "blau"}
PAIRS = [(f"{a} {b}", f"{WORDS[a]} {WORDS[b]}") for a in WORDS for b in WORDS]
SPEC: dict[str, Any] = {
    "d_model": 16,
    "vocabulary_size": 300,
    "encoder": {"layers": [{"feed_forward": {"d_ff": 16}}]},
    "decoder": {"layers": [{"cross_attention": {"num_heads": 2, "head_dim": 8}}]},
    "output": {},
}


def recipe(folder: Path, **sections: Any) -> dict[str, Any]:
    rows = [{"text": text, "target": target} for text, target in PAIRS]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = str(folder / "pairs.jsonl")
    base: dict[str, Any] = {
        "task": {"job": "translation", "max_length": 16, "max_target_length": 16, "shared_vocabulary": False},
        "data": {"train": data, "validation": data},
        "tokenizer": {"vocabulary_size": 300},
        "model": {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 64, "dropout": 0.0},
        "training": {"epochs": 60, "evaluate_every": 60, "learning_rate": 0.005, "tokens_per_batch": 400, "threads": 1},
        "output": str(folder / "run"),
    }
    return base | sections


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(recipe(tmp_path_factory.mktemp("vocabularies")))


def test_each_side_has_its_own_words(run: Run) -> None:
    task: Translator = run.task
    assert len(task.tokenizer.encode_batch(["three"])[0].ids) < len(task.tokenizer.encode_batch(["drei"])[0].ids)
    target = task.target_tokenizer
    assert len(target.encode_batch(["drei"])[0].ids) < len(target.encode_batch(["three"])[0].ids)
    assert task.tokenizer.vocabulary_size != target.vocabulary_size
    spec = task.model.spec
    assert (spec.vocabulary_size, spec.target_vocabulary_size) == (
        task.tokenizer.vocabulary_size,
        target.vocabulary_size,
    )
    assert task.model.token_embedding.num_embeddings == task.tokenizer.vocabulary_size
    assert task.model.target_embedding is not None
    assert task.model.target_embedding.num_embeddings == target.vocabulary_size


def test_it_learns_and_a_saved_run_answers_the_same(run: Run) -> None:
    assert run.evaluations["validation"].metrics["chrf"].value > 99
    texts, targets = zip(*PAIRS, strict=True)
    again = heedful.load(run.folder)
    assert [answer.text for answer in again.predict(list(texts))] == list(targets)
    assert again.predict(list(texts)) == run.task.predict(list(texts))


def test_the_tokenizer_of_the_other_side_has_to_be_there(run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "copy")
    (folder / Side.TARGET.file).unlink()
    with pytest.raises(CheckpointError, match="a vocabulary of its own for what it writes, and there is no tokenizer"):
        heedful.load(folder)


@pytest.mark.parametrize(("shared", "size"), [(True, 300), (False, None)])
def test_a_spec_that_contradicts_the_recipe_is_refused(shared: bool, size: int | None, tmp_path: Path) -> None:
    task = {"job": "translation", "shared_vocabulary": shared}
    wrong = recipe(tmp_path, task=task, model={"spec": {**SPEC, "target_vocabulary_size": size}})
    with pytest.raises(RecipeError, match=r"shared_vocabulary and model\.spec\.target_vocabulary_size contradict"):
        train(wrong)


def test_a_spec_too_small_for_the_targets_names_its_key(tmp_path: Path) -> None:
    wrong = recipe(tmp_path, model={"spec": {**SPEC, "target_vocabulary_size": 100}})
    with pytest.raises(RecipeError, match=r"and the model has 100\n.*model\.spec\.target_vocabulary_size"):
        train(wrong)


def test_a_model_that_copies_needs_one_vocabulary(tmp_path: Path) -> None:
    model = {"d_model": 16, "num_layers": 1, "num_heads": 2, "pointer": {}}
    with pytest.raises(SpecError, match="what is copied has to stand in the vocabulary of the target"):
        train(recipe(tmp_path, model=model))
