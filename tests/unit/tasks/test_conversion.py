"""Models change their form and stay what they are; nothing is half-written, and what cannot be said is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tests.parity.families.cases import CASES
from tests.parity.families.harness import Case
from torch import Tensor

import heedful
from heedful.checkpoint import open_weights
from heedful.errors import CheckpointError, JobError, OutputError, RequestError, UnsupportedError
from heedful.families import FAMILIES, diagnose, load_model, read_pretrained
from heedful.tasks import ConversionOptions, Target, convert, parse_size
from heedful.training import Run

TEXTS = ["alpha beta gamma", "delta", "beta beta alpha delta gamma alpha"]


def tokenizer_of(size: int, folder: Path) -> None:
    """A tokenizer for the lower half of a vocabulary, as BERT's files tell it."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alpha", "beta", "gamma", "delta"]
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    assert size >= len(words)
    backend.save(str(folder / "tokenizer.json"))
    roles = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    config = {f"{role}_token": token for role, token in roles.items()} | {"model_max_length": 16}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.fixture
def classifier(tmp_path: Path) -> tuple[Any, Path]:
    """A BERT classifier of upstream's, saved with a tokenizer."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=32,
        id2label={0: "no", 1: "yes", 2: "maybe"},
    )
    model: Any = transformers.BertForSequenceClassification(config)
    model.eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    folder = tmp_path / "foreign"
    model.save_pretrained(folder)
    tokenizer_of(11, folder)
    (folder / "generation_config.json").write_text('{"num_beams": 3}', encoding="utf-8")
    return model, folder


def tensors_of(folder: Path) -> dict[str, Tensor]:
    stored = open_weights(folder)
    return {name: stored.tensor(name).clone() for name in stored}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# There and back


def test_a_foreign_classifier_becomes_a_folder_of_ours_and_goes_back(
    classifier: tuple[Any, Path], tmp_path: Path
) -> None:
    model, foreign = classifier
    before = snapshot(foreign)
    ours, back = tmp_path / "ours", tmp_path / "back"
    there = convert(foreign, ours, to="heedful")
    assert there.what == "a classifier with 3 labels"
    assert {"config.json", "task.json", "README.md", "model.safetensors", "generation_config.json"} <= set(there.files)
    assert (ours / "README.md").read_text(encoding="utf-8").split("\n# ")[1].startswith("ours\n")
    task = heedful.load(ours)
    assert task.labels == ("no", "yes", "maybe")
    assert diagnose(ours).healthy

    done = convert(ours, back, to="huggingface")
    assert done.what == "BertForSequenceClassification"
    assert (back / "generation_config.json").read_text(encoding="utf-8") == '{"num_beams": 3}'
    original, returned = tensors_of(foreign), tensors_of(back)
    assert set(returned) == set(original)
    assert all(torch.equal(returned[name], tensor) for name, tensor in original.items())
    assert snapshot(foreign) == before

    again, report = transformers.AutoModelForSequenceClassification.from_pretrained(back, output_loading_info=True)
    assert not any(report.values())
    assert again.config.id2label == {0: "no", 1: "yes", 2: "maybe"}
    tokenizer = transformers.AutoTokenizer.from_pretrained(back)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = again(**batch).logits
        expected = model(**batch).logits
    assert torch.equal(logits, expected)
    answers = task.predict(TEXTS)
    probabilities = logits.softmax(-1)
    for answer, row in zip(answers, probabilities, strict=True):
        assert [answer.scores[label] for label in task.labels] == pytest.approx(row.tolist(), abs=1e-6)


def first_cases() -> list[Case]:
    """The plain shape of every family."""
    return list({case.model_type: case for case in reversed(CASES)}.values())


@pytest.mark.parametrize("case", first_cases(), ids=str)
def test_bare_models_of_every_family_go_there_and_back(case: Case, tmp_path: Path) -> None:
    architecture = case.language_model or case.family.architecture
    reference: Any = case.reference(architecture)
    foreign, ours, back = tmp_path / "foreign", tmp_path / "ours", tmp_path / "back"
    reference.save_pretrained(foreign)
    done = convert(foreign, ours, to=Target.HEEDFUL)
    assert done.what == "a bare model"
    assert "there is no tokenizer to go along" in done.notes
    model, expected = load_model(ours).state_dict(), load_model(foreign).state_dict()
    assert set(model) == set(expected)
    assert all(torch.equal(model[name], tensor) for name, tensor in expected.items())

    assert convert(ours, back, to=Target.HUGGINGFACE).what == architecture
    again, report = getattr(transformers, architecture).from_pretrained(
        back, output_loading_info=True, dtype=torch.float64
    )
    left_aside = {note.partition(": ")[0] for note in read_pretrained(foreign).notes}
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    assert set(report["missing_keys"]) <= left_aside
    original, returned = tensors_of(foreign), tensors_of(back)
    assert all(torch.equal(returned[name], tensor) for name, tensor in original.items() if name not in left_aside)
    state = again.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in returned.items() if name in state)


def test_every_family_is_converted_here() -> None:
    assert {case.model_type for case in first_cases()} == set(FAMILIES)


def test_a_tuned_checkpoint_goes_out_with_its_new_labels(
    classifier: tuple[Any, Path], recipe: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    settings = recipe(task={"max_length": 16}, training={"epochs": 1})
    settings.pop("tokenizer")
    trained = heedful.train(settings | {"model": {"checkpoint": str(classifier[1])}, "output": tmp_path / "tuned"})
    out = tmp_path / "out"
    done = convert(trained.folder, out, to="huggingface")
    again = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    assert tuple(again.config.id2label.values()) == trained.task.labels
    assert again.config.problem_type == "single_label_classification"
    batch = transformers.AutoTokenizer.from_pretrained(out)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = again(**batch).logits
    answers = trained.task.predict(TEXTS)
    temperature = trained.task.card.temperature
    for answer, row in zip(answers, (logits / temperature).softmax(-1), strict=True):
        assert [answer.scores[label] for label in trained.task.labels] == pytest.approx(row.tolist(), abs=1e-6)
    assert any("temperature" in note for note in done.notes) == (temperature != 1)


# Files and dtypes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("to", [Target.HEEDFUL, Target.HUGGINGFACE])
def test_weights_are_written_in_the_dtype_that_is_asked_for(
    dtype: torch.dtype, to: Target, classifier: tuple[Any, Path], tmp_path: Path
) -> None:
    done = convert(classifier[1], tmp_path / "out", to=to, options=ConversionOptions(dtype=dtype))
    name = str(dtype).removeprefix("torch.")
    assert done.dtypes == (name,)
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert to is Target.HEEDFUL or config["dtype"] == name
    expected = {tensor.to(dtype).flatten()[0].item() for tensor in tensors_of(classifier[1]).values()}
    assert {tensor.flatten()[0].item() for tensor in tensors_of(tmp_path / "out").values()} == expected


@pytest.mark.parametrize("to", [Target.HEEDFUL, Target.HUGGINGFACE])
def test_shards_hold_what_one_file_would(to: Target, classifier: tuple[Any, Path], tmp_path: Path) -> None:
    convert(classifier[1], tmp_path / "one", to=to)
    done = convert(classifier[1], tmp_path / "many", to=to, options=ConversionOptions(max_shard_bytes=1000))
    shards = [name for name in done.files if name.startswith("model-")]
    assert len(shards) > 2 and "model.safetensors.index.json" in done.files
    largest = max(tensor.nbytes for tensor in tensors_of(tmp_path / "one").values())
    for name in shards:
        assert sum(tensor.nbytes for tensor in load_file(tmp_path / "many" / name).values()) <= max(1000, largest)
    one, many = tensors_of(tmp_path / "one"), tensors_of(tmp_path / "many")
    assert set(one) == set(many) and all(torch.equal(many[name], tensor) for name, tensor in one.items())
    load = heedful.load(tmp_path / "many")
    assert load.predict(TEXTS) == heedful.load(tmp_path / "one").predict(TEXTS)


def test_a_pickle_becomes_safetensors_in_its_own_form(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    folder = classifier[1]
    expected = tensors_of(folder)
    torch.save(expected, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="pickle"):
        convert(folder, tmp_path / "refused", to="huggingface")
    assert not (tmp_path / "refused").exists()
    done = convert(folder, tmp_path / "out", to="huggingface", allow_pickle=True)
    assert "model.safetensors" in done.files
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(tmp_path / "out").items())


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 * 10**9),
        ("500 MB", 5 * 10**8),
        ("1GiB", 2**30),
        ("1.5k", 1500),
        ("10", 10),
        ("7b", 7),
        ("3 tib", 3 * 2**40),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.text(max_size=8))
def test_sizes_are_positive_or_refused(text: str) -> None:
    try:
        assert parse_size(text) > 0
    except RequestError as error:
        assert "is no size" in error.message


@pytest.mark.parametrize("text", ["", "big", "-1GB", "0", "0.2", "2PB", "2GBB", "1e9", "GB", "２GB x"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is no size"):
        parse_size(text)


# Never in place, never half-written


def test_the_source_is_never_the_destination(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    folder = classifier[1]
    before = snapshot(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    for same in (folder, folder / ".." / folder.name, link):
        with pytest.raises(OutputError, match="never converted in place"):
            convert(folder, same, to="heedful", options=ConversionOptions(overwrite=True))
    assert snapshot(folder) == before


def test_a_folder_that_holds_something_is_left_alone(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is not empty"):
        convert(classifier[1], taken, to="heedful")
    with pytest.raises(OutputError, match="is a file"):
        convert(classifier[1], taken / "notes.txt", to="heedful")
    assert snapshot(taken) == {"notes.txt": b"mine"}


def test_overwriting_leaves_nothing_of_the_model_before(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(classifier[1], out, to="heedful", options=ConversionOptions(max_shard_bytes=1000))
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    (out / "spiece.model").write_text("of another tokenizer", encoding="utf-8")
    done = convert(classifier[1], out, to="huggingface", options=ConversionOptions(overwrite=True))
    left = {path.name for path in out.iterdir()} - set(done.files)
    assert left == {"notes.txt", "README.md"}
    assert diagnose(out).healthy
    assert set(tensors_of(out)) == set(tensors_of(classifier[1]))


def test_a_full_disk_leaves_what_was_there(
    classifier: tuple[Any, Path], tmp_path: Path, small_files: Callable[[int], AbstractContextManager[None]]
) -> None:
    out = tmp_path / "out"
    convert(classifier[1], out, to="heedful")
    before = snapshot(out)
    with small_files(4000), pytest.raises((JobError, OutputError)):
        convert(classifier[1], out, to="huggingface", options=ConversionOptions(overwrite=True))
    with small_files(4000), pytest.raises((JobError, OutputError)):
        convert(classifier[1], tmp_path / "new", to="huggingface")
    assert snapshot(out) == before
    assert not (tmp_path / "new").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# What cannot be said


def test_a_model_of_our_own_has_no_class_upstream(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        convert(run.folder, tmp_path / "out", to="huggingface")
    for words in ("it began in no family", "norm_placement", "positions", "pooling"):
        assert words in caught.value.message
    assert not (tmp_path / "out").exists()


Edit = Callable[[dict[str, Any]], Mapping[str, Any]]


def change(file: Path, edit: Edit) -> None:
    file.write_text(json.dumps(dict(edit(json.loads(file.read_text(encoding="utf-8"))))), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "edit", "words"),
    [
        ("task.json", lambda card: card | {"head": card["head"] | {"pooling": "mean"}}, 'head.pooling is "mean" here'),
        (
            "task.json",
            lambda card: card | {"head": card["head"] | {"pooling": "mean", "dense": False}},
            "head.dense is false here",
        ),
        ("config.json", lambda config: config | {"origin": {"family": "berd", "config": {}}}, "an origin that heedful"),
        ("config.json", lambda config: config | {"origin": None}, "began in no family"),
        ("config.json", lambda config: config | {"module": {"file": "own.py"}}, "code"),
    ],
)
def test_what_upstream_cannot_hold_is_named(
    file: str,
    edit: Callable[[dict[str, Any]], Mapping[str, Any]],
    words: str,
    classifier: tuple[Any, Path],
    tmp_path: Path,
) -> None:
    ours = tmp_path / "ours"
    convert(classifier[1], ours, to="heedful")
    change(ours / file, edit)
    with pytest.raises(UnsupportedError) as caught:
        convert(ours, tmp_path / "out", to="huggingface")
    assert words in caught.value.message
    assert caught.value.remedy is not None
    assert not (tmp_path / "out").exists()


def test_dropout_is_of_training_and_hinders_nobody(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    convert(classifier[1], ours, to="heedful")
    change(ours / "task.json", lambda card: card | {"head": card["head"] | {"dropout": 0.7}})
    assert convert(ours, tmp_path / "out", to="huggingface").what == "BertForSequenceClassification"


def test_calibration_stays_behind_and_that_is_said(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    convert(classifier[1], ours, to="heedful")
    change(ours / "task.json", lambda card: card | {"temperature": 1.5, "abstain_below": 0.4})
    notes = convert(ours, tmp_path / "out", to="huggingface").notes
    assert any("temperature 1.500" in note for note in notes)
    assert any("abstain_below 0.4" in note for note in notes)


def test_a_form_that_is_none_is_refused(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="'huggingfaces' is no form"):
        convert(classifier[1], tmp_path / "out", to="huggingfaces")


def test_what_was_written_is_told_for_machines(classifier: tuple[Any, Path], tmp_path: Path) -> None:
    told = json.loads(convert(classifier[1], tmp_path / "out", to="heedful").to_json())
    assert told["form"] == "heedful"
    assert sorted(told["files"]) == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert told["parameters"] == sum(tensor.numel() for tensor in tensors_of(tmp_path / "out").values())
