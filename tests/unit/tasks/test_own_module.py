"""Modules of a user's own: they train, answer, are kept and come back; and their code runs only by the user's word."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import heedful
from heedful.errors import CheckpointError, RequestError
from heedful.tasks.own_module import make_module
from heedful.training import Run, train

Recipes = Callable[..., dict[str, Any]]

CODE = """
import pathlib
import torch

pathlib.Path(__file__).with_name("executed").open("a").write("x")

class Bag(torch.nn.Module):
    def __init__(self, vocabulary_size, d_model):
        super().__init__()
        self.d_model = d_model
        self.embedding = torch.nn.Embedding(vocabulary_size, d_model)

    def encode(self, ids, mask=None):
        return self.embedding(ids)

def build(vocabulary_size, d_model=16):
    return Bag(vocabulary_size, d_model)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bag.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def executions(file: Path) -> int:
    marks = file.with_name("executed")
    return len(marks.read_text(encoding="utf-8")) if marks.exists() else 0


@pytest.fixture
def own_run(file: Path, recipe: Recipes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr("heedful.training.run.save_loss_curves", lambda records, path: path.write_text("a picture"))
    monkeypatch.setattr("heedful.evaluation.report.save_confusion_matrix", lambda *rest: rest[-1].write_text("too"))
    settings = recipe(
        task={"objective": {"mixup": 0, "subword_dropout": 0}}, training={"epochs": 20, "learning_rate": 0.03}
    )
    model = {"module": f"{file}:build", "arguments": {"d_model": 24}}
    yield train(settings | {"model": model})
    for name in [name for name in sys.modules if name.startswith("heedful_own_")]:
        del sys.modules[name]


def test_it_learns_is_kept_and_comes_back(own_run: Run, file: Path, texts: list[str]) -> None:
    assert own_run.evaluations["validation"].metrics["accuracy"].value > 0.9
    loaded = heedful.load(own_run.folder, allow_code=file)
    assert loaded.predict(texts) == own_run.task.predict(texts)
    assert loaded.model.d_model == 24
    assert "a Bag of" in (own_run.folder / "README.md").read_text(encoding="utf-8")
    config = json.loads((own_run.folder / "config.json").read_text(encoding="utf-8"))
    assert config["module"]["file"] == str(file)
    assert (config["module"]["factory"], config["module"]["arguments"]) == ("build", {"d_model": 24})


def test_it_can_be_saved_again(own_run: Run, file: Path, tmp_path: Path, texts: list[str]) -> None:
    heedful.load(own_run.folder, allow_code=file).save(tmp_path / "again")
    assert heedful.load(tmp_path / "again", allow_code=file).predict(texts) == own_run.task.predict(texts)


def test_the_same_seed_makes_the_same_weights_and_leaves_the_random_state(file: Path) -> None:
    state = torch.get_rng_state()
    one, two, other = (make_module(file, "build", {}, 50, seed=seed)[0] for seed in (3, 3, 4))
    weights = [module.embedding.weight for module in (one, two, other)]  # type: ignore[attr-defined]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state)


# Code runs by the user's word only


def test_nothing_runs_unless_the_user_names_the_file(own_run: Run, file: Path, tmp_path: Path) -> None:
    """Neither the recorded path, nor a file of that name in the model's folder, nor another file that is named."""
    (own_run.folder / file.name).write_text(CODE, encoding="utf-8")
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "else.py"
    other.write_text(CODE, encoding="utf-8")
    ran, imported = executions(file), set(sys.modules)
    for allowed in (None, other, "", own_run.folder):
        with pytest.raises(CheckpointError, match=r"code, which runs only if you allow it") as caught:
            heedful.load(own_run.folder, allow_code=allowed)
        assert f"--allow-code {file}" in (caught.value.remedy or "")
        assert caught.value.exit_code == 2
    assert executions(file) == ran
    assert executions(other) == executions(own_run.folder / file.name) == 0
    assert set(sys.modules) == imported


def test_a_folder_reaches_only_what_its_users_file_defines(own_run: Run, file: Path) -> None:
    config = own_run.folder / "config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    for factory in ("pathlib", "torch", "exec", "__import__", "Bagg"):
        content["module"]["factory"] = factory
        config.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(RequestError, match=f"defines no function or class '{factory}'") as caught:
            heedful.load(own_run.folder, allow_code=file)
    assert "did you mean Bag?" in caught.value.message


def test_a_changed_file_is_said(own_run: Run, file: Path, texts: list[str]) -> None:
    file.write_text(f"# changed\n{CODE}", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"bag\.py has changed since .* was saved"):
        loaded = heedful.load(own_run.folder, allow_code=file)
    assert loaded.predict(texts) == own_run.task.predict(texts)


def test_weights_that_do_not_fit_changed_code_are_refused(own_run: Run, file: Path) -> None:
    file.write_text(CODE.replace("self.embedding", "self.table"), encoding="utf-8")
    with pytest.warns(UserWarning), pytest.raises(CheckpointError, match=r"unexpected model\.embedding\.weight"):
        heedful.load(own_run.folder, allow_code=file)


def test_all_faults_of_the_record_are_listed(own_run: Run, file: Path) -> None:
    config = own_run.folder / "config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    content["module"] = {"file": str(file), "factory": "a.b", "sha256": "0", "arguments": 3}
    config.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CheckpointError, match="has 3 faults"):
        heedful.load(own_run.folder, allow_code=file)


def test_bare_code_is_no_model_to_load(file: Path) -> None:
    with pytest.raises(RequestError, match="names code, and no weights, tokenizer or labels") as caught:
        heedful.load(f"{file}:build")
    assert f"model.module={file}:build" in (caught.value.remedy or "")
    assert executions(file) == 0


# What is no module


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("def build", "def built"), "defines no function or class 'build'; did you mean built?"),
        (("import torch\n", "import torch\nimport no_such_thing\n"), r"cannot be run: ModuleNotFoundError.*\(line 4\)"),
        (("class Bag(", "class Bag(("), r"cannot be run: SyntaxError.*\(line \d+\)"),
        (("return Bag(", "return Bug("), r"build in .* failed: NameError: name 'Bug' is not defined.*\(line 17\)"),
        (("return Bag(vocabulary_size, d_model)", "return 3"), "made int, which is no torch.nn.Module"),
        (("self.d_model = d_model", "pass"), "which has no whole number d_model"),
        (("self.d_model = d_model", "self.d_model = 0"), "which has no whole number d_model"),
        (("def encode", "def read"), "which has no encode"),
        (("encode(self, ids, mask=None)", "encode(self, ids)"), r"encode of .* failed on ids \(2, 3\).*TypeError"),
        (
            ("self.embedding(ids)", "self.embedding(ids)[0]"),
            r"gave torch.float32 of shape \(3, 16\), not .*",
        ),
        (("self.embedding(ids)", "ids[..., None].expand(2, 3, 16)"), r"gave torch.int64 of shape \(2, 3, 16\)"),
        (("self.embedding(ids)", "None"), "gave NoneType, not numbers"),
    ],
)
def test_what_is_no_text_encoder_is_refused_before_training(
    file: Path, recipe: Recipes, tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    assert change[0] in CODE
    file.write_text(CODE.replace(*change), encoding="utf-8")
    with pytest.raises(RequestError, match=told) as caught:
        train(recipe() | {"model": {"module": f"{file}:build"}})
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_arguments_that_the_factory_does_not_take_are_refused(file: Path, recipe: Recipes) -> None:
    with pytest.raises(RequestError, match=r"unexpected keyword argument 'widht'") as caught:
        train(recipe() | {"model": {"module": f"{file}:build", "arguments": {"widht": 3}}})
    assert "model.arguments" in (caught.value.remedy or "")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, recipe: Recipes) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*nothing\.py: No such file"):
        train(recipe() | {"model": {"module": f"{tmp_path}/nothing.py:build"}})
