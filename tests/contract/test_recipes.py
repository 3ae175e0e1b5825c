"""What every shipped recipe keeps: it is read, it tells a misspelt key, and it trains."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import heedful
from heedful.errors import RecipeError
from heedful.tasks import CheckpointSource, ClassificationSettings, TextClassifier
from heedful.training import Recipe, read_recipe, train

FOLDER = Path(heedful.__file__).parent / "recipes"
RECIPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))

Rows = tuple[dict[str, Any], ...]

LARGE = {"attention_is_all_you_need"}
"""Not for two processor cores."""
SMALL = {"model": {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 64}}


def test_all_recipes_are_shipped() -> None:
    assert {"banking77", "clinc150", "tnews", "helpdesk", "banking77-minilm", "clinc150-minilm"} <= set(RECIPES)
    assert "eraser_movies-minilm" in RECIPES
    assert {"attention_is_all_you_need", "multi30k_en_de", "debian_synopsis", "samsum"} <= set(RECIPES)


def content(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def keys(data: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        yield (*above, key)
        if isinstance(value, Mapping):
            yield from keys(value, (*above, key))


@pytest.mark.parametrize("name", RECIPES)
def test_it_is_read_by_name_and_by_path(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe == read_recipe(FOLDER / f"{name}.yaml")
    assert recipe.output == f"runs/{name}"


@pytest.mark.parametrize("name", RECIPES)
def test_every_key_is_a_real_one(name: str) -> None:
    resolved = read_recipe(name).model_dump(mode="json")
    for path in keys(content(name)):
        place: Any = resolved
        for key in path:
            if path == ("model", "preset"):
                break
            assert key in place, f"{'.'.join(path)} is no key"
            place = place[key]


@pytest.mark.parametrize(("name", "path"), [(name, path) for name in RECIPES for path in keys(content(name))], ids=str)
def test_a_misspelt_key_is_named_with_the_right_one(name: str, path: tuple[str, ...]) -> None:
    data = content(name)
    place = data
    for key in path[:-1]:
        place = place[key]
    right = path[-1]
    place[f"{right}x"] = place.pop(right)
    with pytest.raises(RecipeError) as caught:
        read_recipe(data)
    expected = "" if right == "preset" else f"; did you mean {right}?"
    assert f"{'.'.join(path)}x: unknown key{expected}" in caught.value.message


@pytest.mark.parametrize("name", RECIPES)
def test_every_key_is_explained(name: str) -> None:
    """A comment beside or above each of the lines that hold a value."""
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if ":" in line and not line.endswith(":") and not line.lstrip().startswith("#"):
            assert "#" in line or above.lstrip().startswith("#"), line


def stand_ins(recipe: Recipe, rows: Rows) -> list[dict[str, Any]]:
    """Rows with the columns that the recipe names, and an answer of its job."""
    columns, task = recipe.data.columns, recipe.task
    if not isinstance(task, ClassificationSettings):
        return [{columns.text: row["text"], columns.target: f"{row['text']} {row['label']}"} for row in rows]
    examples = [{columns.text: row["text"], columns.label: row["label"]} for row in rows]
    if task.out_of_scope:
        examples += [{columns.text: "today please", columns.label: task.out_of_scope}] * 3
    return examples


@pytest.mark.parametrize("name", RECIPES)
def test_it_trains(name: str, rows: Rows, tmp_path: Path, jsonl: Callable[..., Path], bert_folder: Path) -> None:
    """Two steps of the recipe as it is, on stand-ins for its data and its checkpoint; the run then answers."""
    recipe = read_recipe(name)
    data = jsonl(stand_ins(recipe, rows))
    given: dict[str, Any] = dict.fromkeys(("data.train", "data.validation", "data.test"), data)
    if isinstance(recipe.model, CheckpointSource):
        given["model.checkpoint"] = bert_folder
    if name in LARGE:
        given |= SMALL
    if not isinstance(recipe.task, ClassificationSettings):
        given["task.max_target_length"] = 8  # who has learnt nothing never ends
    run = train(
        name, **given, training={"max_steps": 2, "threads": 1, "log_every": 1}, output=tmp_path / "run", overwrite=False
    )
    assert run.state.step == 2
    assert set(run.evaluations) == {"validation", "test"}
    losses = [json.loads(line).get("train_loss") for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert all(loss > 0 for loss in losses if loss is not None)
    best, last = heedful.load(run.folder), heedful.load(run.folder / "last")
    assert best.job == last.job == recipe.task.job
    assert best.predict(["my card", "你好"]) == run.task.predict(["my card", "你好"])
    if isinstance(best, TextClassifier):
        assert best.labels == ("card", "transfer", "weather")
    assert all(parameter.isfinite().all() for parameter in best.network.parameters())
