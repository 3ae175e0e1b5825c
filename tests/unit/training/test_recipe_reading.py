"""Recipes: what they may hold, how they are overridden, and what is said about a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.errors import RecipeError
from heedful.model import PRESETS, UniformSpec
from heedful.tasks import (
    JOBS,
    CheckpointSource,
    ClassificationSettings,
    ModuleSource,
    SpecSource,
    SummarizationSettings,
    TranslationSettings,
)
from heedful.training import Recipe, parse_overrides, read_recipe
from heedful.training.recipe import MAX_RECIPE_BYTES, dump_recipe

GOOD: dict[str, Any] = {
    "task": {"job": "classification"},
    "data": {"train": "train.jsonl"},
    "tokenizer": {"kind": "wordpiece"},
    "model": {"d_model": 16, "num_layers": 1, "num_heads": 2},
    "output": "runs/x",
}


def faults(recipe: Any, overrides: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read_recipe(recipe, overrides)
    assert caught.value.exit_code == 2
    return caught.value.message.splitlines()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_a_file_and_a_mapping_say_the_same(file: Callable[[str], Path]) -> None:
    path = file(yaml.safe_dump(GOOD))
    assert read_recipe(path) == read_recipe(str(path)) == read_recipe(GOOD)


def test_a_mapping_is_left_as_it_is() -> None:
    before = yaml.safe_dump(GOOD)
    read_recipe(GOOD, {"model.preset": "tiny", "training.epochs": 3, "data": {"test": "x"}})
    assert yaml.safe_dump(GOOD) == before


def test_the_dumped_recipe_is_the_same_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(GOOD, {"data.train": [tmp_path / "a", "b"], "data.validation": 0.2, "training.warmup": 10})
    assert read_recipe(yaml.safe_load(dump_recipe(recipe))) == recipe


def test_two_aligned_files_as_a_mapping(tmp_path: Path) -> None:
    pair = {"source": "train.en", "target": tmp_path / "train.de"}
    name = f"train.en+{tmp_path / 'train.de'}"
    recipe = read_recipe(GOOD, {"data.train": [pair, "more.tmx"], "data.validation": pair, "data.test": name})
    assert (recipe.data.train, recipe.data.validation, recipe.data.test) == ((name, "more.tmx"), name, name)
    assert read_recipe(GOOD, {"data.test": pair}).data.test == name
    assert read_recipe(yaml.safe_load(dump_recipe(recipe))) == recipe


# Overrides


def test_overrides_reach_any_depth_and_create_what_is_not_there() -> None:
    recipe = read_recipe(GOOD, {"task.objective.label_smoothing": 0.3, "training": {"epochs": 3}, "seed": 9})
    assert (recipe.task.objective.label_smoothing, recipe.training.epochs, recipe.seed) == (0.3, 3, 9)


def test_a_mapping_is_merged_and_anything_else_replaces() -> None:
    base = GOOD | {"training": {"epochs": 3, "betas": [0.5, 0.6]}}
    recipe = read_recipe(base, {"training": {"learning_rate": 0.1}, "training.betas": [0.1, 0.2]})
    assert (recipe.training.epochs, recipe.training.learning_rate, recipe.training.betas) == (3, 0.1, (0.1, 0.2))


def test_a_section_without_keys_can_be_overridden() -> None:
    assert read_recipe(GOOD | {"training": None}, {"training.epochs": 3}).training.epochs == 3


def test_a_value_has_nothing_below_it() -> None:
    assert faults(GOOD, {"output.folder": "x"}) == [
        "cannot set output.folder: output is 'runs/x', which holds no folder"
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("null", None), ("true", True), ("[a, b]", ["a", "b"]), ("a=b", "a=b"), ("", None)],
)
def test_the_values_of_the_command_line_are_yaml(text: str, value: object) -> None:
    assert parse_overrides([f"training.epochs={text}"]) == {"training.epochs": value}


def test_a_number_with_an_exponent_is_a_number() -> None:
    assert read_recipe(GOOD, parse_overrides(["training.learning_rate=3e-4"])).training.learning_rate == 3e-4


@pytest.mark.parametrize("argument", ["epochs", "", "=3", "--epochs"])
def test_what_is_no_override_is_refused(argument: str) -> None:
    with pytest.raises(RecipeError, match="is no override") as caught:
        parse_overrides([argument])
    assert "key=value" in (caught.value.remedy or "")


def test_a_value_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"the value of 'a=\[1' is not valid YAML"):
        parse_overrides(["a=[1"])


def test_paths_are_welcome(tmp_path: Path) -> None:
    recipe = read_recipe(
        GOOD,
        {
            "data.train": tmp_path / "a",
            "data.validation": tmp_path / "b",
            "data.test": tmp_path / "c",
            "output": tmp_path,
        },
    )
    assert recipe.data.train == str(tmp_path / "a")
    assert recipe.data.validation == str(tmp_path / "b")
    assert recipe.data.test == str(tmp_path / "c")
    assert recipe.output == str(tmp_path)


# Presets


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_stands_for_its_numbers_and_what_is_beside_it_wins(name: str) -> None:
    plain = read_recipe(GOOD | {"model": {"preset": name}}).model
    assert plain == PRESETS[name]
    changed = read_recipe(GOOD | {"model": {"preset": name, "dropout": 0.45}}).model
    assert changed == PRESETS[name].model_copy(update={"dropout": 0.45})


@pytest.mark.parametrize(
    ("preset", "fault"),
    [
        ("tinny", "model.preset is 'tinny'; did you mean tiny?"),
        (3, "model.preset is '3'; known: base, big, small, tiny"),
        (["tiny"], "model.preset is \"['tiny']\"; did you mean tiny?"),
    ],
)
def test_an_unknown_preset_is_refused_with_the_nearest(preset: object, fault: str) -> None:
    assert faults(GOOD | {"model": {"preset": preset}}) == [fault]


# Forms of the model

CHECKPOINT = {name: section for name, section in GOOD.items() if name != "tokenizer"} | {"model": {"checkpoint": "x/y"}}
TREE: dict[str, Any] = {
    "vocabulary_size": 100,
    "d_model": 8,
    "encoder": {"layers": [{"self_attention": {"num_heads": 2, "head_dim": 4}}, {"feed_forward": {"d_ff": 16}}]},
}


def test_the_form_of_the_model_is_told_by_its_keys() -> None:
    assert isinstance(read_recipe(GOOD).model, UniformSpec)
    assert read_recipe(CHECKPOINT).model == CheckpointSource(checkpoint="x/y")
    tree = read_recipe(GOOD | {"model": {"spec": TREE}}).model
    assert isinstance(tree, SpecSource)
    assert [layer.feed_forward is None for layer in tree.spec.encoder.layers] == [True, False]  # type: ignore[union-attr]
    own = read_recipe(GOOD | {"model": {"module": "some/where.py:build", "arguments": {"depth": 2}}}).model
    assert isinstance(own, ModuleSource)
    assert (own.file, own.factory, own.arguments) == ("some/where.py", "build", {"depth": 2})


@pytest.mark.parametrize("model", [{"checkpoint": "x/y"}, {"spec": TREE}, {"module": "a.py:b"}], ids=str)
def test_every_form_survives_being_written_down(model: dict[str, Any]) -> None:
    recipe = read_recipe((CHECKPOINT if "checkpoint" in model else GOOD) | {"model": model})
    assert read_recipe(yaml.safe_load(dump_recipe(recipe))) == recipe


def test_a_form_is_replaced_from_the_command_line() -> None:
    overrides = parse_overrides(["model=null", "tokenizer=null", "model.checkpoint=x/y", "model.revision=main"])
    assert read_recipe(GOOD, overrides).model == CheckpointSource(checkpoint="x/y", revision="main")


def test_a_checkpoint_brings_the_tokenizer_and_nothing_else_does() -> None:
    assert read_recipe(CHECKPOINT).tokenizer is None
    assert read_recipe(CHECKPOINT | {"tokenizer": None}).tokenizer is None
    told = "  model: a checkpoint brings its own tokenizer; leave out the section tokenizer"
    assert faults(CHECKPOINT | {"tokenizer": {"kind": "bpe"}})[1:] == [told]
    for model in (GOOD["model"], {"spec": TREE}, {"module": "a.py:b"}, None, 3):
        for tokenizer in ({}, {"tokenizer": None}):
            recipe = {name: section for name, section in GOOD.items() if name != "tokenizer"} | tokenizer
            assert "  tokenizer: required, but not given" in faults(recipe | {"model": model})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"checkpoint": "x/y", "d_model": 3}, ["model.d_model: does not go with the other keys beside it"]),
        ({"checkpoint": "x/y", "revison": "a"}, ["model.revison: unknown key; did you mean revision?"]),
        ({"checkpoint": "x/y", "spec": TREE}, ["model.spec: does not go with the other keys beside it"]),
        ({"checkpoint": ""}, ["model.checkpoint: String should have at least 1 character (got '')"]),
        (
            {"module": "a.py:b", "argments": {}, "checkpoint": "x"},
            [
                "model.module: does not go with the other keys beside it",
                "model.argments: unknown key; did you mean arguments?",
            ],
        ),
        (
            {"spec": TREE | {"d_model": 0, "encodr": {}, "decoder": {"layers": []}}},
            [
                "model.spec.d_model: Input should be greater than 0 (got 0)",
                "model.spec.encodr: unknown key; did you mean encoder?",
                "model.spec.decoder.layers: 1 to 1024 layers are possible, not 0",
            ],
        ),
    ],
    ids=str,
)
def test_all_faults_of_a_form_are_told_at_their_places(model: dict[str, Any], expected: list[str]) -> None:
    recipe = (CHECKPOINT if "checkpoint" in model else GOOD) | {"model": model, "sead": 1}
    assert set(faults(recipe)[1:]) == {f"  {fault}" for fault in [*expected, "sead: unknown key; did you mean seed?"]}


@pytest.mark.parametrize("module", ["a.py", "build", "a.py:", ".py:b", "a.py:b c", "a.txt:b", "a.py:b.c"])
def test_what_names_no_module_is_refused(module: str) -> None:
    (line,) = faults(GOOD | {"model": {"module": module}})[1:]
    assert line == f"  model.module: should be path.py:factory, a file and a name in it, not {module!r}"


# Forms of the task

JOB_SETTINGS = {
    "classification": ClassificationSettings,
    "translation": TranslationSettings,
    "summarization": SummarizationSettings,
}


def test_the_form_of_the_task_is_told_by_its_job() -> None:
    assert set(JOB_SETTINGS) == set(JOBS)
    for job, kind in JOB_SETTINGS.items():
        recipe = read_recipe(GOOD, {"task.job": job, "task.max_length": 99})
        assert type(recipe.task) is kind
        assert (recipe.task.job, recipe.task.max_length) == (job, 99)
        assert read_recipe(yaml.safe_load(dump_recipe(recipe))) == recipe


def test_how_answers_are_searched_for_is_written_down_as_it_was_given() -> None:
    """What a recipe leaves out of it is what a checkpoint says; written down, it has to stay out."""
    recipe = read_recipe(GOOD, {"task.job": "translation", "task.generation": {"num_beams": 2}})
    assert yaml.safe_load(dump_recipe(recipe))["task"]["generation"] == {"num_beams": 2}


@pytest.mark.parametrize(
    ("job", "fault"),
    [
        ("translate", "task.job: 'translate' is not known; did you mean translation?"),
        ("sumarization", "task.job: 'sumarization' is not known; did you mean summarization?"),
        ("x", "task.job: 'x' is not known; known: classification, summarization, translation"),
        (3, "task.job: 3 is not known; known: classification, summarization, translation"),
        (["translation"], "task.job: ['translation'] is not known; did you mean translation?"),
        (None, "task.job: None is not known; known: classification, summarization, translation"),
    ],
)
def test_an_unknown_job_is_refused_with_the_nearest(job: object, fault: str) -> None:
    assert faults(GOOD, {"task.job": job}) == ["the recipe has 1 fault:", f"  {fault}"]


@pytest.mark.parametrize(
    ("job", "key", "value", "fault"),
    [
        ("translation", "max_targt_length", 9, "unknown key; did you mean max_target_length?"),
        ("summarization", "max_targt_length", 9, "unknown key; did you mean max_target_length?"),
        ("translation", "generation.num_beam", 2, "unknown key; did you mean num_beams?"),
        ("translation", "objective.subword_dropuot", 0, "unknown key; did you mean subword_dropout?"),
        ("classification", "calibrat", True, "unknown key; did you mean calibrate?"),
        ("translation", "calibrat", True, "unknown key; known: generation, job, max_length, max_target_length, "),
        ("translation", "calibrate", True, "does not go with the other keys beside it"),
        ("translation", "objective.mixup", 1, "does not go with the other keys beside it"),
        ("classification", "generaton", {}, "unknown key; known: abstain_below, calibrate, dense, "),
        ("classification", "generation", {}, "does not go with the other keys beside it"),
        ("translation", "generation.num_beams", 0, "Input should be greater than or equal to 1 (got 0)"),
    ],
)
def test_a_fault_in_a_task_is_told_in_the_words_of_its_job(job: str, key: str, value: object, fault: str) -> None:
    count, line = faults(GOOD, {"task.job": job, f"task.{key}": value})
    assert count == "the recipe has 1 fault:"
    assert line.startswith(f"  task.{key}: {fault}")


# Faults


def test_all_faults_are_listed_at_once() -> None:
    lines = faults(
        {name: section for name, section in GOOD.items() if name != "tokenizer"},
        {
            "training.learning_rte": 0.1,
            "training.epochs": "many",
            "training.schedule": "cosin",
            "task.objective.label_smoothing": 1.5,
            "data.on_bad_row": "ignore",
            "model.d_modell": 3,
            "sead": 3,
        },
    )
    assert lines[0] == "the recipe has 8 faults:"
    expected = {
        "training.learning_rte: unknown key; did you mean learning_rate?",
        "training.epochs: Input should be a valid number, unable to parse string as a number (got 'many')",
        "training.schedule: Input should be 'cosine', 'linear', 'constant' or 'inverse_square_root' (got 'cosin')",
        "task.objective.label_smoothing: Input should be less than 1 (got 1.5)",
        "data.on_bad_row: Input should be 'error' or 'skip' (got 'ignore')",
        "model.d_modell: unknown key; did you mean d_model?",
        "sead: unknown key; did you mean seed?",
        "tokenizer: required, but not given",
    }
    assert {line.strip() for line in lines[1:]} == expected


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("data.train", 3, "data.train.source: Input should be a valid string (got 3)"),
        (
            "data.train",
            {"source": "a"},
            "data.train.source: the pair of files has 1 fault: target: required, but not given",
        ),
        (
            "data.test",
            {"source": "a", "traget": "b"},
            "data.test: the pair of files has 2 faults: target: required, but not given; "
            "traget: unknown key; did you mean target?",
        ),
        ("data.train", [], "data.train.list: Tuple should have at least 1 item after validation, not 0"),
        ("data.train", ["a", 3], "data.train.list.1: Input should be a valid string (got 3)"),
        ("data.validation", 5, "data.validation.share: Input should be less than 1 (got 5)"),
        ("data.validation", 0, "data.validation.share: Input should be greater than 0 (got 0)"),
        ("data.validation", True, "data.validation.share: Input should be less than 1 (got True)"),
        ("output", "", "output: String should have at least 1 character (got '')"),
        ("seed", -1, "seed: Input should be greater than or equal to 0 (got -1)"),
        ("training", [], "training: should hold keys with values (got [])"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: object, fault: str) -> None:
    assert faults(GOOD, {key: value}) == ["the recipe has 1 fault:", f"  {fault}"]


@pytest.mark.parametrize(("name", "value"), [("patience", 3), ("select_by", "accuracy")])
def test_what_needs_validation_data_is_refused_without_them(name: str, value: object) -> None:
    lines = faults(GOOD, {f"training.{name}": value, "data.validation": None})
    assert lines[1] == f"  the whole: training.{name} needs validation data, and data.validation is null"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("seed: 1\noutput: x\nseed: 2\n", "the key 'seed' is there twice, in line 1 and in line 3"),
        ("task:\n  job: x\n  labels: a\n  job: y\n", "the key 'job' is there twice, in line 2 and in line 4"),
        ("data: [{a: 1,\n a: 2}]", "the key 'a' is there twice, in line 1 and in line 2"),
        ("1: a\n1: b", "the key '1' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_its_lines(
    file: Callable[[str], Path], content: str, told: str
) -> None:
    assert told in faults(file(content))[0]


def test_a_key_may_be_there_again_in_another_section_or_after_a_merge(file: Callable[[str], Path]) -> None:
    content = yaml.safe_dump(GOOD | {"seed": 1}).replace("seed: 1", "training: &base {epochs: 3}\nseed: 4")
    merged = content.replace("task:\n", "task:\n  objective: {label_smoothing: 0.1, <<: {label_smoothing: 0.3}}\n")
    recipe = read_recipe(file(merged))
    assert (recipe.training.epochs, recipe.seed, recipe.task.objective.label_smoothing) == (3, 4, 0.1)


def test_a_key_that_an_override_has_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="the key 'epochs' is there twice"):
        parse_overrides(["training={epochs: 1, epochs: 2}"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("task: [", "is not valid YAML"),
        (b"\xff\xfe\xfd", "is not valid YAML"),
        ("a: b: c", "is not valid YAML"),
        ("!!python/object/apply:os.system [id]", "is not valid YAML"),
        ("[" * 1500, "is not valid YAML"),
        ("", "holds no recipe"),
        ("just text", "holds no recipe"),
        ("- a\n- b", "holds no recipe"),
        ("a: " + "x" * MAX_RECIPE_BYTES, "is larger than a recipe may be"),
    ],
)
def test_a_file_that_holds_no_recipe_is_refused(file: Callable[[str | bytes], Path], content: str, reason: str) -> None:
    path = file(content)
    (line, *_) = faults(path)
    assert reason in line
    assert str(path) in line


def test_a_recipe_that_is_nowhere_is_refused_with_those_there_are(tmp_path: Path) -> None:
    for place in (tmp_path / "no.yaml", tmp_path, "bankin77"):
        with pytest.raises(RecipeError, match="there is no recipe") as caught:
            read_recipe(place)
        assert "banking77" in (caught.value.remedy or "")


def test_the_name_of_the_file_is_in_the_message(file: Callable[[str], Path]) -> None:
    path = file("task: 3")
    assert faults(path)[0].startswith(f"the recipe {path} has ")


yaml_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=2),
    max_leaves=5,
)
DOTTED = (
    "task task.job task.labels task.generation data data.train data.validation data.columns "
    "model model.preset model.norm model.checkpoint model.spec model.module training "
    "training.betas training.x.y tokenizer output seed . a..b"
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(DOTTED.split()), yaml_like, max_size=3))
def test_whatever_is_written_is_a_recipe_or_one_of_our_errors(overrides: dict[str, Any]) -> None:
    try:
        recipe = read_recipe(GOOD, overrides)
    except RecipeError as error:
        assert error.message
    else:
        assert isinstance(recipe, Recipe)


WRITING: dict[str, Any] = GOOD | {"task": {"job": "translation"}}


@pytest.mark.parametrize("job", ["translation", "summarization"])
def test_what_learns_to_write_from_nothing_is_trained_as_the_paper_says(job: str) -> None:
    """Vaswani et al. 2017: sections 5.3, 5.4 and 6.1."""
    recipe = read_recipe(GOOD | {"task": {"job": job}})
    training = recipe.training
    assert (training.schedule, training.betas, training.epsilon) == ("inverse_square_root", (0.9, 0.98), 1e-9)
    assert training.average_last == 5
    assert not isinstance(recipe.task, ClassificationSettings)
    assert recipe.task.objective.label_smoothing == 0.1
    assert isinstance(recipe.model, UniformSpec)
    assert recipe.model.tied_output


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"schedule": "cosine"}, "schedule", "cosine"),
        ({"epsilon": 1e-6}, "epsilon", 1e-6),
        ({"weight_average": 0.9}, "average_last", None),
        ({"average_last": None}, "average_last", None),
    ],
)
def test_the_recipe_has_the_last_word(given: dict[str, Any], field: str, value: object) -> None:
    assert getattr(read_recipe(WRITING, {"training": given}).training, field) == value


@pytest.mark.parametrize("model", [{"checkpoint": "folder"}, CheckpointSource(checkpoint="folder")])
def test_what_goes_on_from_a_checkpoint_is_trained_as_any_other(model: object) -> None:
    recipe = {key: value for key, value in WRITING.items() if key != "tokenizer"} | {"model": model}
    assert read_recipe(recipe).training == read_recipe(GOOD).training
