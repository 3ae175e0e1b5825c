"""Runs, from a recipe to a folder: what they leave, what they refuse, and what a failure leaves as it was."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import yaml

import heedful
from heedful.data import Columns
from heedful.errors import DataError, HeedfulError, JobError, OutputError, RecipeError
from heedful.evaluation import Evaluation
from heedful.training import Run, TrainingState, read_recipe, train
from heedful.training.run import usual_threads

Rows = tuple[dict[str, Any], ...]
Recipes = Callable[..., dict[str, Any]]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time of a tiny run."""
    monkeypatch.setattr("heedful.training.run.save_loss_curves", lambda records, path: path.write_text("a picture"))
    monkeypatch.setattr("heedful.evaluation.report.save_confusion_matrix", lambda *rest: rest[-1].write_text("too"))


class Breaking:
    """An observer that does something after some step."""

    def __init__(self, step: int, act: Callable[[], None]) -> None:
        self.step, self.act = step, act

    def on_step(self, state: TrainingState) -> None:
        if state.step == self.step:
            self.act()

    def on_evaluation(self, state: TrainingState, evaluation: Evaluation, *, best: bool) -> None:
        """Nothing to do."""


# What a run leaves


def test_a_run_leaves_everything_that_was_promised(run: Run) -> None:
    model = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "task.json", "README.md"}
    found = {"evaluation.json", "per_class.csv", "confusion_matrix.svg", "confusion_matrix.png"}
    expected = model | {f"last/{name}" for name in model}
    expected |= {"recipe.yaml", "metrics.jsonl", "loss_curves.svg", "loss_curves.png"}
    expected |= {f"evaluation/{data}/{name}" for data in ("validation", "test") for name in found}
    assert set(snapshot(run.folder)) == expected


def test_the_metrics_file_tells_the_run(run: Run) -> None:
    records = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [record for record in records if "train_loss" in record]
    evaluations = [record for record in records if "validation_loss" in record]
    every = read_recipe(run.folder / "recipe.yaml").training.log_every
    total = run.state.total_steps
    assert [record["step"] for record in steps] == sorted({*range(every, total + 1, every), total})
    assert len(evaluations) == 12
    for record in steps:
        assert set(record) == {
            "step",
            "epoch",
            "train_loss",
            "learning_rate",
            "tokens_per_second",
            "padding_share",
        }
    best = [record for record in evaluations if record["best"]][-1]
    assert best["step"] == run.state.best_step
    assert best["validation_accuracy"] == run.state.best_value == max(r["validation_accuracy"] for r in evaluations)
    assert steps[-1]["train_loss"] < steps[0]["train_loss"] / 2


def test_the_best_and_the_last_state_are_both_kept(run: Run, texts: list[str]) -> None:
    best, last = heedful.load(run.folder), heedful.load(run.folder / "last")
    assert best.predict(texts) == run.task.predict(texts)
    same = torch.equal(best.head.output.weight, last.head.output.weight)
    assert same == (run.state.best_step == run.state.step)
    assert last.card.temperature == 1


def test_the_temperature_is_fitted_on_the_validation_data_and_used(run: Run, rows: Rows) -> None:
    name = "negative_log_likelihood"
    card = json.loads((run.folder / "task.json").read_text(encoding="utf-8"))
    assert card["temperature"] == run.task.card.temperature != 1
    records = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    (before,) = [r["validation_loss"] for r in records if r.get("best") and r["step"] == run.state.best_step]
    assert run.evaluations["validation"].metrics[name].value < before


def test_the_resolved_recipe_repeats_the_run(
    run: Run, tmp_path: Path, texts: list[str], without_pictures: None
) -> None:
    again = train(run.folder / "recipe.yaml", output=tmp_path / "again")
    assert again.task.predict(texts) == run.task.predict(texts)
    weights, repeated = run.task.network.state_dict(), again.task.network.state_dict()
    assert all(torch.equal(tensor, repeated[name]) for name, tensor in weights.items())
    other = train(run.folder / "recipe.yaml", output=tmp_path / "other", seed=2, training={"max_steps": 2})
    assert not torch.equal(other.task.head.output.weight, run.task.head.output.weight)


def test_evaluations_are_those_of_the_saved_model(run: Run) -> None:
    data = str(read_recipe(run.folder / "recipe.yaml").data.test)
    evaluation = heedful.evaluate(run.folder, data)
    assert evaluation.metrics == run.evaluations["test"].metrics
    saved = (run.folder / "evaluation" / "test" / "evaluation.json").read_text(encoding="utf-8")
    assert Evaluation.from_json(saved).metrics == evaluation.metrics


def test_without_validation_the_last_state_is_the_model(
    recipe: Recipes, without_pictures: None, texts: list[str]
) -> None:
    run = train(recipe(data={"validation": None}))
    assert run.evaluations == {}
    assert run.task.card.temperature == 1
    assert heedful.load(run.folder / "last").predict(texts) == run.task.predict(texts)


def test_calibration_and_abstaining_are_as_the_recipe_says(recipe: Recipes, without_pictures: None) -> None:
    run = train(recipe(task={"calibrate": False, "abstain_below": 0.9}))
    assert run.task.card.temperature == 1
    assert heedful.load(run.folder).predict(["a"])[0].label is None


def test_several_labels_end_to_end(recipe: Recipes, rows: Rows, without_pictures: None, tmp_path: Path) -> None:
    chinese = [row | {"label": [row["label"], *(["chinese"] if "请问" in row["text"] else [])]} for row in rows]
    run = train(recipe(chinese, task={"labels": "multi"}, training={"epochs": 15, "learning_rate": 0.03}))
    loaded = heedful.load(run.folder)
    answers = loaded.predict([row["text"] for row in chinese])
    right = [set(answer.labels) == set(row["label"]) for answer, row in zip(answers, chinese, strict=True)]
    assert sum(right) > 0.8 * len(chinese)
    assert {len(answer.labels) for answer in answers} >= {1, 2}
    evaluation = heedful.evaluate(loaded, tmp_path / "rows.jsonl")
    assert evaluation.metrics["micro_f1"].value > 0.9
    assert evaluation.confusion is None


def test_pairs_of_texts_end_to_end(recipe: Recipes, rows: Rows, without_pictures: None, tmp_path: Path) -> None:
    """The label is that of the second text: the first one is of no help."""
    others = Random(0).sample(rows, len(rows))
    pairs = [
        {"text": other["text"], "second": row["text"], "label": row["label"]}
        for row, other in zip(rows, others, strict=True)
    ]
    run = train(recipe(pairs, data={"columns": {"pair": "second"}}, training={"epochs": 15, "learning_rate": 0.03}))
    loaded = heedful.load(run.folder)
    assert heedful.evaluate(loaded, tmp_path / "rows.jsonl").metrics["accuracy"].value > 0.8
    swapped = heedful.evaluate(loaded, tmp_path / "rows.jsonl", columns=Columns(text="second", pair="text"))
    assert swapped.metrics["accuracy"].value < 0.6


def test_out_of_scope_texts_are_not_learnt_but_measured(recipe: Recipes, rows: Rows, without_pictures: None) -> None:
    data = [row | {"label": "oos"} if row["label"] == "weather" else row for row in rows]
    run = train(recipe(data, task={"out_of_scope": "oos"}, training={"epochs": 4}))
    assert run.task.labels == ("card", "transfer")
    assert 0 <= run.evaluations["validation"].extra["out_of_scope_auroc"] <= 1


# What is held out


def test_the_share_held_out_never_takes_the_last_example_of_a_label(
    recipe: Recipes, rows: Rows, without_pictures: None
) -> None:
    rare = [{"text": f"rare words {number}", "label": f"rare {number}"} for number in range(20)]
    run = train(recipe([*rows, *rare], data={"validation": 0.5}))
    assert set(run.task.labels) == {*(row["label"] for row in rows), *(row["label"] for row in rare)}
    support = Counter({scores.label: scores.support for scores in run.evaluations["validation"].per_class})
    assert not any(support[row["label"]] for row in rare)
    assert run.evaluations["validation"].num_examples == pytest.approx(60, abs=15)


def test_data_of_which_nothing_can_be_held_out_are_refused(recipe: Recipes) -> None:
    with pytest.raises(DataError, match="none of the 2 training examples can be held out") as caught:
        train(recipe([{"text": "one", "label": "a"}, {"text": "two", "label": "b"}]))
    assert "data.validation=null" in (caught.value.remedy or "")


# Refusals: nothing is written


@pytest.mark.parametrize(
    ("sections", "error", "message"),
    [
        ({"training": {"epoks": 3}}, RecipeError, "training.epoks: unknown key; did you mean epochs?"),
        ({"training": {"select_by": "acuracy"}}, RecipeError, "training.select_by is 'acuracy'"),
        ({"data": {"train": "nowhere.jsonl"}}, DataError, "nowhere.jsonl"),
        ({"data": {"validation": "nowhere.jsonl"}}, DataError, "nowhere.jsonl"),
        ({"data": {"test": "nowhere.jsonl"}}, DataError, "nowhere.jsonl"),
        ({"data": {"columns": {"label": "lable"}}}, DataError, "lable"),
        ({"task": {"max_length": 8, "long_input": "error"}}, HeedfulError, "the train data: row"),
        ({"model": {"d_model": 15}}, RecipeError, "d_model 15 is not divisible by num_heads 2"),
    ],
)
def test_a_wrong_request_writes_nothing(
    recipe: Recipes, tmp_path: Path, sections: dict[str, Any], error: type[HeedfulError], message: str
) -> None:
    with pytest.raises(error) as caught:
        train(recipe(**sections))
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_label_that_is_not_in_the_training_data_is_refused_before_training(
    recipe: Recipes, rows: Rows, tmp_path: Path, name: str
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"text": "hello", "label": "cart"}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"the {name} data: row 1 has the label 'cart'") as caught:
        train(recipe(data={name: other}))
    assert "did you mean card?" in (caught.value.remedy or "")
    assert not (tmp_path / "run").exists()


def test_of_several_files_the_one_with_the_fault_is_named(recipe: Recipes, rows: Rows, tmp_path: Path) -> None:
    more = [tmp_path / "more.jsonl", tmp_path / "most.jsonl"]
    for path, words in zip(more, (1, 100), strict=True):
        path.write_text(json.dumps({"text": "card " * words, "label": "card"}) + "\n", encoding="utf-8")
    settings = recipe(task={"max_length": 64, "long_input": "error"})
    settings["data"]["train"] = [settings["data"]["train"], *more]
    with pytest.raises(HeedfulError, match=r"the train data: \S+/most\.jsonl, row 1: a text has \d+ tokens"):
        train(settings | {"data": settings["data"] | {"validation": None}})


def test_one_class_only_is_refused(recipe: Recipes, rows: Rows, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the training data holds only the label 'x'"):
        train(recipe([row | {"label": "x"} for row in rows]))
    assert not (tmp_path / "run").exists()


def test_a_folder_with_another_run_is_refused_untouched(recipe: Recipes, run_copy: Path) -> None:
    before = snapshot(run_copy)
    with pytest.raises(OutputError, match="holds another run") as caught:
        train(recipe() | {"output": run_copy})
    assert "overwrite=true" in (caught.value.remedy or "")
    assert snapshot(run_copy) == before


def test_a_folder_with_something_else_is_refused_untouched(recipe: Recipes, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="is not empty and holds no run of ours"):
            train(recipe() | {"output": tmp_path / "mine", "overwrite": overwrite})
    assert snapshot(tmp_path / "mine") == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_the_place_of_the_folder_is_refused(recipe: Recipes, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file is a file"):
        train(recipe() | {"output": tmp_path / "file" / below, "overwrite": True})
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("exists", [True, False])
def test_a_read_only_folder_is_refused(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)  # root may write everywhere
    with pytest.raises(OutputError, match="read-only is read-only") as caught:
        train(recipe() | {"output": folder if exists else folder / "a" / "run"})
    assert caught.value.exit_code == 2
    assert not list(folder.iterdir())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that refuses even root")
@pytest.mark.parametrize("output", ["/proc/heedful/run", "x" * 300])
def test_a_place_that_the_system_refuses_is_refused(recipe: Recipes, output: str) -> None:
    with pytest.raises(OutputError) as caught:
        train(recipe() | {"output": output})
    assert caught.value.exit_code == 2


def test_an_empty_folder_is_welcome(recipe: Recipes, tmp_path: Path, without_pictures: None) -> None:
    (tmp_path / "run").mkdir()
    assert train(recipe(training={"max_steps": 1})).folder == tmp_path / "run"


# Overwriting


def test_overwriting_leaves_nothing_of_the_former_run(
    recipe: Recipes, run_copy: Path, texts: list[str], without_pictures: None
) -> None:
    run = train(recipe(data={"validation": None}, training={"max_steps": 2}) | {"output": run_copy, "overwrite": True})
    files = snapshot(run_copy)
    assert not [name for name in files if name.startswith("evaluation/")]
    assert files["loss_curves.svg"] == b"a picture"
    assert yaml.safe_load(files["recipe.yaml"])["training"]["max_steps"] == 2
    assert len(files["metrics.jsonl"].splitlines()) == 2
    assert heedful.load(run_copy).predict(texts) == heedful.load(run_copy / "last").predict(texts)
    assert heedful.load(run_copy).card == run.task.card
    assert "Results" not in files["README.md"].decode()


# Failures in the middle


def test_a_full_disk_at_the_first_save_leaves_the_former_model(
    recipe: Recipes,
    run_copy: Path,
    texts: list[str],
    small_files: Callable[[int], AbstractContextManager[None]],
) -> None:
    """The weights are larger than what fits, all else is smaller."""
    answers = heedful.load(run_copy).predict(texts)
    settings = recipe(model={"d_model": 64}, training={"max_steps": 3}) | {"output": run_copy, "overwrite": True}
    with small_files(100_000), pytest.raises(JobError, match="the disk filled up") as caught:
        train(settings)
    assert caught.value.exit_code == 1
    assert heedful.load(run_copy).predict(texts) == answers
    assert heedful.load(run_copy / "last").predict(texts)
    assert not list(run_copy.rglob(".saving-*"))


def test_a_full_disk_in_mid_training_keeps_the_best_so_far(
    recipe: Recipes, tmp_path: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, bytes] = {}

    def fill() -> None:
        kept.update(snapshot(tmp_path / "run"))
        monkeypatch.setattr("heedful.checkpoint.folder.write_weights", full)

    def full(folder: Path, tensors: dict[str, torch.Tensor], **_: object) -> None:
        (folder / "model.safetensors").write_bytes(b"half of the wei")
        raise OSError(28, "No space left on device")

    with pytest.raises(JobError, match="the disk filled up"):
        train(recipe(training={"epochs": 50}), observers=[Breaking(20, fill)])
    assert "model.safetensors" in kept
    after = snapshot(tmp_path / "run")
    assert all(after[name] == content for name, content in kept.items() if name != "metrics.jsonl")
    assert heedful.load(tmp_path / "run").predict(texts)
    assert not list((tmp_path / "run").rglob(".saving-*"))


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_best(
    recipe: Recipes, tmp_path: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = heedful.TextClassifier.loss

    def poison() -> None:
        monkeypatch.setattr(heedful.TextClassifier, "loss", lambda task, batch: loss(task, batch) * float("inf"))

    with pytest.raises(JobError, match="no longer finite at step 21"):
        train(recipe(training={"epochs": 50}), observers=[Breaking(20, poison)])
    for folder in (tmp_path / "run", tmp_path / "run" / "last"):
        answers = heedful.load(folder).predict(texts)
        assert all(0 <= answer.score <= 1 for answer in answers)
    records = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(records[-1])["step"] == 20


def test_a_run_can_be_moved(run_copy: Path, tmp_path: Path, run: Run, texts: list[str]) -> None:
    moved = Path(shutil.move(run_copy, tmp_path / "elsewhere"))
    assert heedful.load(moved).predict(texts) == run.task.predict(texts)


@pytest.mark.parametrize(("said", "threads"), [("1", 1), ("7", 7), ("", None), ("0", None), ("2,1", None)])
def test_the_usual_variable_says_how_many_threads(
    said: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert usual_threads() == (threads or os.cpu_count())
