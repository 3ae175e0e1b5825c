"""Checkpoints that others trained: answered with as they are, or trained on from there."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tests.parity.families import reference

import heedful
from heedful import TextClassifier
from heedful.data import Example, LabelKind
from heedful.errors import CheckpointError, RecipeError, RequestError, UnsupportedError
from heedful.text import LongInput, Tokenizer, TokenizerSettings
from heedful.training import train

Recipes = Callable[..., dict[str, Any]]

STACK = {"layers": 2, "attention_heads": 2, "ffn_dim": 24}
BOTH_STACKS = {f"{stack}_{name}": size for stack in ("encoder", "decoder") for name, size in STACK.items()}
ONE_STACK = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SHAPES: dict[str, dict[str, Any]] = {
    "bert": ONE_STACK,
    "roberta": ONE_STACK | {"max_position_embeddings": 33, "type_vocab_size": 1},
    "llama": ONE_STACK | {"num_key_value_heads": 1},
    "bart": BOTH_STACKS | {"d_model": 16, "decoder_start_token_id": 3, "eos_token_id": 3, "forced_eos_token_id": 3},
}
"""Encoders with token types and without, a decoder, and both."""
LABELS = ["card", "transfer", "weather"]


@pytest.fixture
def checkpoint(tmp_path: Path, texts: list[str]) -> Callable[..., Path]:
    """Write a checkpoint with random weights, as transformers does."""

    def make(
        family: str = "bert", *, head: bool = True, labels: list[str] = LABELS, std: float = 0.1, **options: Any
    ) -> Path:
        folder = tmp_path / f"{family}-{head}"
        folder.mkdir()
        tokenizer = Tokenizer.train(texts, TokenizerSettings.model_validate({"kind": "wordpiece", "lowercase": True}))
        tokenizer.save(folder)
        given = {"max_position_embeddings": 32, "pad_token_id": 0, "vocab_size": tokenizer.vocabulary_size + 3}
        given |= SHAPES[family] | options
        config = transformers.AutoConfig.for_model(
            family, **given, id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)}
        )
        torch.manual_seed(0)
        kind = transformers.AutoModelForSequenceClassification if head else transformers.AutoModel
        model = kind.from_config(config)  # type: ignore[no-untyped-call]
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=std)
        model.save_pretrained(folder)
        return folder

    return make


def change(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(content | changes), encoding="utf-8")


def logits_of(classifier: TextClassifier, texts: list[str]) -> np.ndarray:
    return classifier.score([Example(text, None, (), number) for number, text in enumerate(texts, 1)]).logits


def reference_model(folder: Path) -> torch.nn.Module:
    config = transformers.AutoConfig.from_pretrained(folder, attn_implementation="eager")
    with reference.in_float64():
        model: torch.nn.Module = transformers.AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    model.double().load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    return model.eval()


def reference_logits(folder: Path, classifier: TextClassifier, texts: list[str]) -> np.ndarray:
    model = reference_model(folder)
    rows = [torch.tensor([encoding.ids]) for encoding in classifier.tokenizer.encode_batch(texts)]
    return np.concatenate([reference.run(model, input_ids=row).logits.numpy() for row in rows])


# As they are


@pytest.mark.parametrize("family", SHAPES)
def test_a_checkpoint_with_a_head_answers_as_its_reference_does(
    family: str, checkpoint: Callable[..., Path], texts: list[str]
) -> None:
    folder = checkpoint(family, std=0.5)
    classifier = heedful.load(folder, dtype="float64")
    wanted = reference_logits(folder, classifier, texts)
    assert np.ptp(wanted, axis=0).min() > 0.1
    assert np.abs(logits_of(classifier, texts) - wanted).max() <= 1e-9
    assert classifier.labels == tuple(LABELS)
    assert classifier.card.temperature == 1
    answers = classifier.predict(texts)
    assert [answer.label for answer in answers] == [LABELS[row] for row in wanted.argmax(1)]


def test_pairs_are_read_as_the_reference_reads_them(checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint()
    classifier = heedful.load(folder, dtype="float64")
    (encoding,) = classifier.tokenizer.encode_batch(["my card"], ["rain today"])
    assert set(encoding.token_types) == {0, 1}
    model = reference_model(folder)
    types = torch.tensor([encoding.token_types])
    wanted = reference.run(model, input_ids=torch.tensor([encoding.ids]), token_type_ids=types).logits
    pair = classifier.score([Example("my card", "rain today", (), 1)]).logits
    assert np.abs(pair - wanted.numpy()).max() <= 1e-9
    with pytest.raises(UnsupportedError, match="row 2 is one text"):
        classifier.predict([("my card", "rain"), "alone"])


def test_an_adapter_of_peft_is_merged_head_and_all(
    checkpoint: Callable[..., Path], texts: list[str], tmp_path: Path
) -> None:
    folder = checkpoint("bert")
    model: Any = get_peft_model(
        transformers.AutoModelForSequenceClassification.from_pretrained(folder),
        LoraConfig(task_type="SEQ_CLS", r=2, lora_alpha=8, target_modules=["query", "value"]),
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path / "adapter")
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in folder.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "merged")
    adapted = heedful.load(folder, adapter=tmp_path / "adapter")
    assert np.array_equal(logits_of(adapted, texts[:8]), logits_of(heedful.load(tmp_path / "merged"), texts[:8]))
    assert not np.allclose(logits_of(adapted, texts[:8]), logits_of(heedful.load(folder), texts[:8]))


def test_a_head_that_reads_the_end_token_needs_it_at_the_end(checkpoint: Callable[..., Path]) -> None:
    """mBART puts the language after it."""
    folder = checkpoint("bart")
    change(folder / "tokenizer.json", post_processor=None)
    with pytest.raises(UnsupportedError, match="does not put its end token last"):
        heedful.load(folder)


def test_several_labels_are_as_the_config_says(checkpoint: Callable[..., Path], texts: list[str]) -> None:
    classifier = heedful.load(checkpoint(std=0.5, problem_type="multi_label_classification"))
    assert classifier.card.label_kind is LabelKind.MULTI
    assert any(abs(sum(answer.scores.values()) - 1) > 0.1 for answer in classifier.predict(texts))


@pytest.mark.parametrize(
    "options", [{"problem_type": "regression"}, {"labels": ["LABEL_0"]}], ids=["by name", "one output"]
)
def test_a_regression_is_refused_by_name(checkpoint: Callable[..., Path], options: dict[str, Any]) -> None:
    with pytest.raises((CheckpointError, UnsupportedError), match="regression"):
        heedful.load(checkpoint(**options))


@pytest.mark.parametrize(("told", "length"), [(None, 32), (20, 20), (10**30, 32), (64, 32)])
def test_the_longest_text_is_what_model_and_tokenizer_allow(
    checkpoint: Callable[..., Path], told: int | None, length: int
) -> None:
    folder = checkpoint()
    change(folder / "tokenizer_config.json", model_max_length=told)
    classifier = heedful.load(folder)
    assert (classifier.card.max_length, classifier.card.long_input) == (length, LongInput.WINDOW)
    assert classifier.predict(["card " * 100])[0].windows > 2


def test_without_a_head_it_is_not_served(checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(CheckpointError, match="bert and no trained classification head") as caught:
        heedful.load(checkpoint(head=False))
    assert "model.checkpoint" in (caught.value.remedy or "")


def test_saved_it_is_a_folder_of_ours_that_remembers_its_origin(
    checkpoint: Callable[..., Path], texts: list[str], tmp_path: Path
) -> None:
    folder = checkpoint("llama")
    classifier = heedful.load(folder)
    classifier.save(tmp_path / "ours")
    again = heedful.load(tmp_path / "ours")
    assert again.predict(texts) == classifier.predict(texts)
    origin = json.loads((tmp_path / "ours" / "config.json").read_text(encoding="utf-8"))["origin"]
    assert origin == {"family": "llama", "config": json.loads((folder / "config.json").read_text(encoding="utf-8"))}
    assert again.origin == origin


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float64])
def test_the_number_type_is_the_stored_one_or_the_one_asked_for(
    checkpoint: Callable[..., Path], dtype: str | torch.dtype, texts: list[str]
) -> None:
    folder = checkpoint()
    file = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    assert {parameter.dtype for parameter in heedful.load(folder).network.parameters()} == {torch.float16}
    asked = heedful.load(folder, dtype=dtype, device="cpu")
    assert {parameter.dtype for parameter in asked.network.parameters()} == {getattr(torch, str(dtype).split(".")[-1])}
    assert len(asked.predict(texts)) == len(texts)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dtype": "float23"}, "'float23' is no number type of a network; did you mean float32?"),
        ({"dtype": torch.int8}, "torch.int8 is no number type"),
        ({"device": "teapot"}, "cannot be put on teapot"),
        ({"device": "cuda:7"}, "cannot be put on cuda:7"),
        ({"task": "clasification"}, "'clasification' is no task; did you mean classification?"),
    ],
    ids=str,
)
def test_impossible_options_are_refused(checkpoint: Callable[..., Path], options: Any, told: str) -> None:
    with pytest.raises(RequestError, match=told) as caught:
        heedful.load(checkpoint(), **options)
    assert caught.value.exit_code == 2


def test_pickles_are_read_by_flag_only(checkpoint: Callable[..., Path], texts: list[str]) -> None:
    folder = checkpoint()
    wanted = heedful.load(folder).predict(texts)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        heedful.load(folder)
    assert heedful.load(folder, allow_pickle=True).predict(texts) == wanted


def test_code_in_the_folder_is_never_run(checkpoint: Callable[..., Path], texts: list[str]) -> None:
    """Not the code that ``auto_map`` names, nor what lies where Python would look for it."""
    folder = checkpoint()
    wanted = heedful.load(folder).predict(texts)
    for name in ("modeling_own.py", "tokenization_own.py", "__init__.py", "conftest.py"):
        (folder / name).write_text("raise SystemExit('executed')", encoding="utf-8")
    named = {"AutoModelForSequenceClassification": "modeling_own.Model", "AutoConfig": "modeling_own.Config"}
    change(folder / "config.json", auto_map=named)
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_own.Tokenizer", None]})
    imported = set(sys.modules)
    assert heedful.load(folder, allow_pickle=True).predict(texts) == wanted
    assert set(sys.modules) == imported


# Trained on


@pytest.fixture
def tuning(recipe: Recipes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Train from a checkpoint; returns the run and what was said."""
    monkeypatch.setattr("heedful.training.run.save_loss_curves", lambda records, path: path.write_text("a picture"))
    monkeypatch.setattr("heedful.evaluation.report.save_confusion_matrix", lambda *rest: rest[-1].write_text("too"))

    def run(folder: Path, **task: Any) -> Any:
        section = {"max_length": 32, "objective": {"mixup": 0, "subword_dropout": 0, "token_dropout": 0}} | task
        settings = recipe(task=section, training={"epochs": 16, "learning_rate": 0.02})
        del settings["tokenizer"]
        return train(settings | {"model": {"checkpoint": folder}}), capsys.readouterr().err

    return run


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_training_starts_from_the_checkpoint_with_a_fresh_head(
    family: str, checkpoint: Callable[..., Path], tuning: Callable[..., Any], texts: list[str]
) -> None:
    folder = checkpoint(family, head=False)
    run, said = tuning(folder)
    kept = "dense.bias, dense.weight" if family == "bert" else None
    assert f"the head starts fresh{f', but for {kept} of the checkpoint' if kept else ''}\n" in said
    assert run.task.card.head.pooling == ("first" if family == "bert" else "last")
    assert run.evaluations["validation"].metrics["accuracy"].value > 0.8
    assert run.task.origin["family"] == family
    assert heedful.load(run.folder).predict(texts) == run.task.predict(texts)
    recipe_file = (run.folder / "recipe.yaml").read_text(encoding="utf-8")
    assert f"checkpoint: {folder}" in recipe_file
    assert "tokenizer: null" in recipe_file


def test_before_the_first_step_the_weights_are_those_of_the_checkpoint(
    checkpoint: Callable[..., Path], recipe: Recipes, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint()
    wanted = heedful.load(folder)
    seen: dict[str, torch.Tensor] = {}

    def take(task: TextClassifier, batch: Any) -> torch.Tensor:
        seen.update({name: tensor.clone() for name, tensor in task.network.state_dict().items()})
        raise StopIteration

    monkeypatch.setattr(TextClassifier, "loss", take)
    settings = recipe(task={"max_length": 32})
    del settings["tokenizer"]
    with pytest.raises(StopIteration):
        train(settings | {"model": {"checkpoint": folder}})
    state = wanted.network.state_dict()
    assert seen.keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in seen.items())


def test_the_same_labels_go_on_with_the_same_head_in_its_order(
    checkpoint: Callable[..., Path], tuning: Callable[..., Any]
) -> None:
    run, said = tuning(checkpoint(labels=LABELS[::-1]))
    assert run.task.labels == tuple(LABELS[::-1])
    assert "the head goes on from the checkpoint's: the labels are the same" in said
    assert run.evaluations["validation"].metrics["accuracy"].value > 0.8


def test_the_task_section_may_ask_for_another_head(checkpoint: Callable[..., Path], tuning: Callable[..., Any]) -> None:
    run, said = tuning(checkpoint(head=False), pooling="mean", dense=False, head_dropout=0.3)
    head = run.task.card.head
    assert (head.pooling, head.dense, head.dropout) == ("mean", False, 0.3)
    assert "the head starts fresh\n" in said


def test_a_run_of_ours_is_a_checkpoint_too(run: Any, tuning: Callable[..., Any], texts: list[str]) -> None:
    tuned, said = tuning(run.folder)
    assert "the head goes on from the checkpoint's" in said
    assert tuned.task.tokenizer.encode_batch(texts) == run.task.tokenizer.encode_batch(texts)
    assert tuned.evaluations["validation"].metrics["accuracy"].value > 0.95


def test_texts_longer_than_the_checkpoint_takes_are_refused_before_training(
    checkpoint: Callable[..., Path], tuning: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"task\.max_length is 64, and the model takes 32 tokens") as caught:
        tuning(checkpoint(), max_length=64)
    assert caught.value.remedy == "Set task.max_length to 32 or less."
    assert not (tmp_path / "run").exists()
