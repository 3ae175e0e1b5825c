"""A run: from a recipe to a folder with a trained, calibrated and evaluated model."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heedful.checkpoint import replace_files, write_adapter, write_text, writing
from heedful.data import ExampleStore, read_examples
from heedful.errors import DataError, OutputError, RecipeError
from heedful.evaluation import Evaluation, measure
from heedful.evaluation.plots import save_loss_curves
from heedful.settings import nearest
from heedful.tasks import JOBS, AnyTask, CheckpointSource, ModuleSource, load
from heedful.training.adapters import adapter_of
from heedful.training.interruption import stop_requests
from heedful.training.log import METRICS_FILE, MetricsLog, read_records
from heedful.training.progress import ProgressDisplay
from heedful.training.recipe import Recipe, dump_recipe, read_recipe
from heedful.training.trainer import Observer, Trainer, TrainingState

RECIPE_FILE = "recipe.yaml"
LAST_FOLDER = "last"
ADAPTER_FOLDER = "adapter"
EVALUATION_FOLDER = "evaluation"
CURVES_FILE = "loss_curves"


@dataclass(frozen=True)
class Run:
    """What a training run left: the best model, where it lies, and how good it is."""

    task: AnyTask
    folder: Path
    state: TrainingState
    evaluations: dict[str, Evaluation]
    """By the name of the data: ``validation``, ``test``; those that there are."""


def train(recipe: str | Path | Mapping[str, Any], *, observers: Sequence[Observer] = (), **overrides: Any) -> Run:
    """Train what a recipe describes.

    Args:
        recipe: a YAML file, the name of a shipped recipe, or a mapping.
        observers: are told of every step and evaluation, beside the run's own log and progress bar.
        overrides: fields of the recipe: ``seed=2``, ``training={"epochs": 3}``, ``**{"data.train": path}``.

    Raises:
        RecipeError, DataError, OutputError: the request was wrong; nothing was written.
        JobError: the training failed; the best state so far is kept.
        StoppedError: a signal stopped it; the last state is kept.
    """
    resolved = read_recipe(recipe, overrides)
    folder = Path(resolved.output)
    check_folder(folder, overwrite=resolved.overwrite)
    torch.set_num_threads(resolved.training.threads or usual_threads())
    with ExitStack() as stack:
        display = stack.enter_context(ProgressDisplay())
        data = _open_data(resolved, stack, display)
        task = _create(resolved, data)
        log = MetricsLog(folder / METRICS_FILE, every=resolved.training.log_every)
        trainer = Trainer(
            task=task,
            examples=data["train"],
            validation=data.get("validation"),
            settings=resolved.training,
            seed=resolved.seed,
            save=lambda which: _save(task, resolved, folder if which == "best" else folder / LAST_FOLDER),
            observers=(log, display, *observers),
        )
        if resolved.training.lora is not None:
            adapter_of(task)  # what cannot be written is refused now, not after hours
        _announce(display, task, data)
        write_text(folder / RECIPE_FILE, dump_recipe(_with_revision(resolved, task.revision)))
        _remove_findings(folder)
        with log, stop_requests() as stop:
            state = trainer.run(stop)
        return _finish(resolved, folder, state, data, display)


def usual_threads() -> int:
    """As many as there are cores, unless the variable that all numerical libraries know says otherwise."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return (int(said) if said.isdecimal() else 0) or os.cpu_count() or 1


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse an output folder that cannot be written to, or that holds another run.

    Raises:
        OutputError: as said; nothing was touched.
    """
    another = "Choose another folder with output=..."
    with writing(folder):
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise OutputError(f"{existing} is a file", remedy=another)
        if not os.access(existing, os.W_OK | os.X_OK):
            raise OutputError(f"{existing} is read-only", remedy=another)
        if (folder / RECIPE_FILE).exists():
            if not overwrite:
                raise OutputError(
                    f"{folder} holds another run",
                    remedy="Choose another folder with output=..., or replace that run with overwrite=true.",
                )
        elif existing == folder and any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty and holds no run of ours", remedy=another)


def _remove_findings(folder: Path) -> None:
    """Remove what an earlier run in ``folder`` found; its model stays until there is a new one."""
    with writing(folder):
        for findings in (EVALUATION_FOLDER, ADAPTER_FOLDER, f"{LAST_FOLDER}/{ADAPTER_FOLDER}"):
            if (folder / findings).exists():
                shutil.rmtree(folder / findings)
        for picture in folder.glob(f"{CURVES_FILE}.*"):
            picture.unlink()


def _open_data(recipe: Recipe, stack: ExitStack, display: ProgressDisplay) -> dict[str, ExampleStore]:
    """The stores of the run by name: ``train``, and ``validation`` and ``test`` where there are."""
    settings = recipe.data
    sources = {"train": settings.train, "validation": settings.validation, "test": settings.test}
    stores = {}
    for name, source in sources.items():
        if source is None or isinstance(source, float):
            continue
        reader = read_examples(
            source, settings.columns, label_kind=recipe.task.label_kind, on_bad_row=settings.on_bad_row
        )
        stores[name] = stack.enter_context(ExampleStore(reader))
        for note in reader.notes:
            display.say(f"{name} data: {note}")
    if isinstance(settings.validation, float):
        whole = stores["train"]
        held_out = _held_out(whole, settings.validation, recipe.seed)
        for name, wanted in (("train", ~held_out), ("validation", held_out)):
            stores[name] = stack.enter_context(
                ExampleStore(example for example, kept in zip(whole, wanted, strict=True) if kept)
            )
    return stores


def _held_out(examples: ExampleStore, share: float, seed: int) -> np.ndarray:
    """Which of N examples are held out, bool (N,): ``share`` of them, but never the last one with some label."""
    count = len(examples)
    held_out = np.zeros(count, dtype=np.bool_)
    held_out[np.random.default_rng(seed).permutation(count)[: max(1, round(count * share))]] = True
    remaining = Counter(label for example in examples for label in example.labels)
    for index, example in enumerate(examples):
        if held_out[index]:
            if all(remaining[label] > 1 for label in example.labels):
                remaining.subtract(example.labels)
            else:
                held_out[index] = False
    if not held_out.any():
        raise DataError(
            f"none of the {count} training examples can be held out: no other would have its labels",
            remedy="Give more data, or data.validation=null.",
        )
    return held_out


def _create(recipe: Recipe, data: Mapping[str, ExampleStore]) -> AnyTask:
    """The task to train; whatever would end the run halfway is refused here."""
    task: AnyTask = JOBS[recipe.task.job].create(
        recipe.task, recipe.tokenizer, recipe.model, data["train"], recipe.data.columns, seed=recipe.seed
    )
    for name, store in data.items():
        task.check(store, name=f"the {name} data")
    chosen = recipe.training.select_by
    if chosen is not None and chosen not in task.metrics:
        raise RecipeError(
            f"training.select_by is {chosen!r}, which is no metric of this job",
            remedy=nearest(chosen, task.metrics),
        )
    return task


def _save(task: AnyTask, recipe: Recipe, folder: Path) -> None:
    """Save the model, and the adapters too where there is a checkpoint beside which they are worth something."""
    task.save(folder)
    if recipe.training.lora is not None and isinstance(recipe.model, CheckpointSource):
        write_adapter(folder / ADAPTER_FOLDER, adapter_of(task), base=recipe.model.checkpoint)


def _with_revision(recipe: Recipe, revision: str | None) -> Recipe:
    """The recipe with the commit of the Hub that was read: run again, it reads the same weights."""
    if revision is None or not isinstance(recipe.model, CheckpointSource):
        return recipe
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"revision": revision})})


def _announce(display: ProgressDisplay, task: AnyTask, data: Mapping[str, ExampleStore]) -> None:
    sizes = ", ".join(f"{len(store):,} {name}" for name, store in data.items())
    sizes_and_learning = [(parameter.numel(), parameter.requires_grad) for parameter in task.network.parameters()]
    parameters = sum(size for size, _ in sizes_and_learning)
    learning = sum(size for size, learns in sizes_and_learning if learns)
    said = "" if learning == parameters else f", {learning:,} of them learn"
    display.say(f"{sizes} texts · {task.description}")
    for note in task.notes:
        display.say(note)
    display.say(f"vocabulary {task.tokenizer.vocabulary_size:,} · {parameters:,} parameters{said}")


def _finish(
    recipe: Recipe,
    folder: Path,
    state: TrainingState,
    data: Mapping[str, ExampleStore],
    display: ProgressDisplay,
) -> Run:
    """Calibrate and evaluate the best state, and leave figures and pictures in the folder."""
    task = load(folder, allow_code=recipe.model.file if isinstance(recipe.model, ModuleSource) else None)
    if "validation" in data:
        for note in JOBS[recipe.task.job].finish(recipe.task, task, data["validation"]):
            display.say(note)
    evaluations = {name: measure(task, store) for name, store in data.items() if name != "train"}
    results = {
        name: {metric: str(value) for metric, value in evaluation.metrics.items()}
        for name, evaluation in evaluations.items()
    }
    task.card = task.card.model_copy(update={"results": results})
    task.save(folder)
    for name, evaluation in evaluations.items():
        evaluation.save(folder / EVALUATION_FOLDER / name)
    records = read_records(folder / METRICS_FILE)
    with replace_files(folder) as staging:
        for suffix in ("svg", "png"):
            save_loss_curves(records, staging / f"{CURVES_FILE}.{suffix}")
    return Run(task=task, folder=folder, state=state, evaluations=evaluations)
