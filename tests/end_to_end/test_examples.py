"""The examples do what their pages say, on the data set that ships with heedful."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

import heedful
from heedful.data import LabelKind, read_examples
from heedful.training import Run, read_recipe, train

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_model.py"
PAGE = ROOT / "docs" / "tutorials" / "your-own-model.md"


@pytest.fixture(scope="module")
def tutorial() -> dict[str, Any]:
    """The recipe that the tutorial shows."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    recipe: dict[str, Any] = yaml.safe_load(block)
    return recipe


@pytest.fixture(scope="module")
def hybrid(tutorial: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The recipe of the tutorial for a moment, with a smaller model."""
    overrides: dict[str, Any] = {
        "model.module": f"{EXAMPLE}:build",
        "model.arguments": {"d_model": 64, "depth": 1},
        "task.objective": {"mixup": 0, "subword_dropout": 0},
        "training": {"epochs": 3, "learning_rate": 0.005, "evaluate_every": 3, "threads": 1},
        "output": tmp_path_factory.mktemp("hybrid") / "run",
    }
    return train(tutorial, **overrides)


def test_the_recipe_of_the_tutorial_names_the_example(tutorial: dict[str, Any]) -> None:
    recipe = read_recipe(tutorial)
    assert recipe.model.model_dump() == tutorial["model"]
    assert ROOT / recipe.model.file == EXAMPLE  # type: ignore[union-attr]


def test_the_code_of_the_tutorial_is_that_of_the_example() -> None:
    code = EXAMPLE.read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    excerpts = [block for block in shown if "heedful." not in block]
    assert len(excerpts) >= 3
    for excerpt in excerpts:
        assert excerpt in code


def test_the_hybrid_learns_by_far_more_than_chance_can(hybrid: Run) -> None:
    """Of ten labels, as frequent as each other; measured: 0.68."""
    accuracy = hybrid.evaluations["test"].metrics["accuracy"]
    assert len(hybrid.task.labels) == 10
    assert accuracy.value > 0.5


def test_the_hybrid_comes_back_and_answers_the_same(hybrid: Run, call: Callable[..., Any], tmp_path: Path) -> None:
    texts = [example.text for example in read_examples("helpdesk:test", label_kind=LabelKind.NONE)]
    hybrid.task.save(tmp_path / "saved")
    loaded = heedful.load(tmp_path / "saved", allow_code=EXAMPLE)
    assert loaded.predict(texts) == hybrid.task.predict(texts)


def test_the_hybrid_can_be_explained(hybrid: Run) -> None:
    text = "i was charged twice this month"
    explanation = heedful.explain(hybrid.task, text)
    assert [word.text for word in explanation.words] == text.split()
    assert explanation.label == hybrid.task.predict([text])[0].label
    assert max(word.score for word in explanation.words) > 0


def test_the_hybrid_answers_at_the_command_line(hybrid: Run, call: Call) -> None:
    text = "i was charged twice this month"
    refused = call("predict", hybrid.folder, text=f"{text}\n")
    assert refused.exit_code == 2
    assert f"--allow-code {EXAMPLE}" in refused.stderr
    answer = call("predict", hybrid.folder, "--allow-code", EXAMPLE, text=f"{text}\n")
    assert answer.exit_code == 0
    assert answer.stdout.split("\t")[0] == hybrid.task.predict([text])[0].label
    figures = call("evaluate", hybrid.folder, "helpdesk:test", "--allow-code", EXAMPLE, "--resamples", "0", "--json")
    assert figures.exit_code == 0
    assert f'"value":{hybrid.evaluations["test"].metrics["accuracy"].value}' in figures.stdout.replace(" ", "")


def test_padding_changes_nothing_in_the_hybrid() -> None:
    spec = importlib.util.spec_from_file_location("custom_model", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    model = module.build(50, d_model=16).double().eval()
    ids = torch.randint(50, (3, 9))
    mask = torch.arange(9) < torch.tensor([[9], [4], [1]])
    together = model.encode(ids, mask)
    for row, length in enumerate((9, 4, 1)):
        assert (together[row, :length] - model.encode(ids[row : row + 1, :length])[0]).abs().max() < 1e-12
