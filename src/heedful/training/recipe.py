"""Recipes: one YAML file says everything about a run, ``key=value`` reaches any field of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from heedful.data import AlignedFiles, Columns, OnBadRow
from heedful.errors import RecipeError
from heedful.model import PRESETS, UniformSpec
from heedful.settings import Place, Settings, nearest, parse
from heedful.tasks import JOBS, CheckpointSource, ModelSource, TaskSettings, form_of
from heedful.text import TokenizerSettings
from heedful.training.settings import TrainingSettings
from heedful.training.yaml_files import read_yaml

MAX_RECIPE_BYTES = 1_000_000
AVERAGES = frozenset({"average_last", "weight_average"})
"""Two ways to average weights, of which a run has one."""


def _joined(value: object) -> object:
    """The name of two aligned files that are written as a mapping."""
    if not isinstance(value, Mapping):
        return value
    try:
        return str(parse(AlignedFiles, value, name="the pair of files", error=RecipeError))
    except RecipeError as error:
        heading, *lines = error.message.splitlines()
        raise ValueError(f"{heading} {'; '.join(map(str.strip, lines))}") from None


SourceName = Annotated[Place, BeforeValidator(_joined)]
Places = Annotated[
    Annotated[SourceName, Tag("source")] | Annotated[tuple[SourceName, ...], Field(min_length=1), Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list | tuple) else "source"),
]
PlaceOrShare = Annotated[
    Annotated[SourceName, Tag("source")] | Annotated[float, Field(gt=0, lt=1), Tag("share")],
    Discriminator(lambda value: "share" if isinstance(value, int | float) else "source"),
]


class DataSettings(Settings):
    """Where the examples come from."""

    train: Places = Field(
        description="file, two aligned files (a.en+a.de), Hub id, folder, shipped data set, or a list"
    )
    validation: PlaceOrShare | None = Field(
        0.1, description="a source, or the share of the training data held out; null for none"
    )
    test: SourceName | None = Field(None, description="evaluated once, after training")
    columns: Columns = Columns()
    on_bad_row: OnBadRow = Field(
        OnBadRow.ERROR, description="error: stop at a row that cannot be used; skip: leave it out and count it"
    )


class Recipe(Settings):
    """A whole run."""

    task: TaskSettings
    data: DataSettings
    tokenizer: TokenizerSettings | None = Field(
        description="left out if `model.checkpoint` is given: it brings its own"
    )
    model: ModelSource
    training: TrainingSettings = TrainingSettings()
    output: Place = Field(min_length=1, description="folder of the run")
    overwrite: bool = Field(False, description="replace an earlier run in the output folder")
    seed: int = Field(1, ge=0, lt=2**31, description="of the weights, the order of the data, and dropout")

    @model_validator(mode="before")
    @classmethod
    def _tokenizer_of_a_checkpoint(cls, data: Any) -> Any:
        """Only a checkpoint brings a tokenizer; everything else needs the section."""
        if not isinstance(data, Mapping) or data.get("tokenizer") is not None:
            return data
        others = {key: value for key, value in data.items() if key != "tokenizer"}
        section = data.get("model")
        brings_one = isinstance(section, CheckpointSource) or form_of(section) is CheckpointSource
        return {**others, "tokenizer": None} if brings_one else others

    @field_validator("model")
    @classmethod
    def _one_tokenizer(cls, model: ModelSource, info: ValidationInfo) -> ModelSource:
        if isinstance(model, CheckpointSource) and info.data.get("tokenizer") is not None:
            raise ValueError("a checkpoint brings its own tokenizer; leave out the section tokenizer")
        return model

    @model_validator(mode="after")
    def _validates_what_needs_it(self) -> Recipe:
        needed = [name for name in ("patience", "select_by") if getattr(self.training, name) is not None]
        if needed and self.data.validation is None:
            raise ValueError(f"training.{needed[0]} needs validation data, and data.validation is null")
        return self


def read_recipe(recipe: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe: a YAML file, the name of a shipped one, or a mapping; then apply ``overrides``.

    Args:
        overrides: field to value; a field is a dotted path (``training.epochs``), a mapping as the value is
            merged into what is there.

    Raises:
        RecipeError: the file is missing or not YAML, or the recipe has faults; all of them are listed.
    """
    if isinstance(recipe, Mapping):
        data, name = copy.deepcopy(dict(recipe)), "the recipe"
    else:
        data, name = _load_yaml(find_recipe(recipe)), f"the recipe {recipe}"
    for key, value in (overrides or {}).items():
        _override(data, key, value)
    _expand_preset(data)
    _follow_the_job(data)
    return parse(Recipe, data, name=name, error=RecipeError)


def parse_overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """Read the command line's ``key=value`` arguments; values are YAML (``3``, ``null``, ``[a, b]``).

    Raises:
        RecipeError: an argument has no ``=``, or its value is not YAML.
    """
    overrides: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key:
            raise RecipeError(f"{argument!r} is no override", remedy="Write key=value, such as training.epochs=3.")
        try:
            overrides[key] = read_yaml(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"the value of {argument!r} is not valid YAML: {error}") from error
    return overrides


def find_recipe(path: str | Path) -> Path:
    """The file at ``path``, or the shipped recipe of that name."""
    shipped = Path(__file__).parent.parent / "recipes"
    for candidate in (Path(path), shipped / f"{path}.yaml"):
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
    raise RecipeError(
        f"there is no recipe {path}", remedy=f"Give a YAML file, or the name of a shipped recipe: {names}."
    )


def _load_yaml(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MAX_RECIPE_BYTES:
        raise RecipeError(f"{file} is larger than a recipe may be ({MAX_RECIPE_BYTES:,} bytes)")
    try:
        data = read_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{file} is not valid YAML: {error}") from error
    except OSError as error:
        raise RecipeError(f"cannot read {file}: {error.strerror}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{file} holds no recipe", remedy="A recipe is a mapping: task, data, model, ...")
    return data


def _override(data: dict[str, Any], key: str, value: object) -> None:
    *parents, last = key.split(".")
    place = data
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        inner = place[parent]
        if not isinstance(inner, dict):
            raise RecipeError(f"cannot set {key}: {parent} is {inner!r}, which holds no {last}")
        place = inner
    if isinstance(value, Mapping) and isinstance(place.get(last), dict):
        for inner_key, inner_value in value.items():
            _override(place[last], str(inner_key), inner_value)
    else:
        place[last] = value


def _expand_preset(data: dict[str, Any]) -> None:
    """Replace ``model.preset`` by the numbers it stands for; fields beside it win."""
    model = data.get("model")
    if not isinstance(model, dict) or "preset" not in model or form_of(model) is not UniformSpec:
        return
    name = str(model.pop("preset"))
    if name not in PRESETS:
        raise RecipeError(f"model.preset is {name!r}; {nearest(name, PRESETS)}")
    data["model"] = PRESETS[name].model_dump(mode="json", exclude_unset=True) | model


def _follow_the_job(data: dict[str, Any]) -> None:
    """Where a model is trained from nothing and the recipe is silent, its job's usual training holds."""
    section, training, model = data.get("task"), data.get("training", {}), data.get("model")
    job = JOBS.get(str(section.get("job"))) if isinstance(section, Mapping) else None
    starts_from_nothing = not isinstance(model, CheckpointSource) and form_of(model) is not CheckpointSource
    if job is None or not isinstance(training, Mapping) or not starts_from_nothing:
        return
    usual = {key: value for key, value in job.training.items() if not (key in AVERAGES and AVERAGES & {*training})}
    data["training"] = usual | dict(training)


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
