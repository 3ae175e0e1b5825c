"""The doctor says what a checkpoint is, what is wrong with it, why, and what would mend it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tests.unit.families.conftest import BERT_CONFIG, LLAMA_CONFIG, bert_tensors, llama_tensors
from torch import Tensor

from heedful.checkpoint.doctor import Form, Severity
from heedful.errors import CheckpointError
from heedful.families import Diagnosis, diagnose
from heedful.training import Run

Write = Callable[[Mapping[str, Any], Mapping[str, Tensor]], Path]
Tensors = dict[str, Tensor]

BERT = bert_tensors()
LLAMA = llama_tensors(tied=False)


def kinds(diagnosis: Diagnosis) -> dict[str, str]:
    """Kind -> text of all findings but those about the tokenizer that these folders lack."""
    return {it.kind: it.what for it in diagnosis.findings if it.kind != "no_tokenizer"}


def told(diagnosis: Diagnosis, kind: str) -> str:
    [finding] = [it for it in diagnosis.findings if it.kind == kind]
    return f"{finding.what} | {finding.cause} | {finding.remedy}"


def renamed(tensors: Tensors, *pairs: tuple[str, str]) -> Tensors:
    for before, after in pairs:
        tensors = {name.replace(before, after): tensor for name, tensor in tensors.items()}
    return tensors


def with_tokenizer(folder: Path, vocabulary_size: int) -> Path:
    words = {f"word{number}": number for number in range(vocabulary_size)}
    tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="word0")).save(str(folder / "tokenizer.json"))
    return folder


# What a checkpoint is


def test_a_healthy_classifier_is_described(checkpoint: Write) -> None:
    diagnosis = diagnose(with_tokenizer(checkpoint(BERT_CONFIG, BERT), 11))
    assert diagnosis.findings == ()
    assert diagnosis.healthy
    assert (diagnosis.form, diagnosis.family) == (Form.HUGGINGFACE, "bert")
    assert diagnosis.labels == ("no", "yes", "maybe")
    assert diagnosis.parameters == sum(tensor.numel() for tensor in BERT.values())
    assert diagnosis.dtypes == {"float32": diagnosis.parameters}
    assert diagnosis.shapes == {name: tuple(tensor.shape) for name, tensor in BERT.items()}
    assert diagnosis.parts["encoder"].startswith("2 layers of width 8, 2 heads of 4, inner width 12, gelu, norm post")
    assert "3 labels: no, yes, maybe" in diagnosis.parts["head"]
    assert diagnosis.parts["tokenizer"].startswith("11 tokens")
    assert json.loads(diagnosis.to_json())["healthy"] is True


def test_a_language_model_is_described(checkpoint: Write) -> None:
    diagnosis = diagnose(checkpoint(LLAMA_CONFIG, LLAMA))
    assert kinds(diagnosis) == {}
    assert diagnosis.parts["decoder"].startswith("1 layer of width 8")
    assert diagnosis.parts["output"] == "a language model, with its own map"


def test_a_run_of_ours_is_healthy(run: Run) -> None:
    diagnosis = diagnose(run.folder)
    assert diagnosis.findings == ()
    assert (diagnosis.form, diagnosis.what) == (Form.HEEDFUL, "a model and run of heedful")
    assert diagnosis.labels == run.task.labels
    assert diagnosis.parameters == sum(parameter.numel() for parameter in run.task.network.parameters())


def test_nothing_there_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no folder"):
        diagnose(tmp_path / "nothing")


# Names, shapes and config

SPOILT: dict[str, tuple[dict[str, Any], Tensors, str, str]] = {
    "module": (BERT_CONFIG, {f"module.{n}": t for n, t in BERT.items()}, "wrapper_prefix", "rename module.X to X"),
    "compiled": (BERT_CONFIG, {f"_orig_mod.{n}": t for n, t in BERT.items()}, "wrapper_prefix", "torch.compile"),
    "doubled": (
        LLAMA_CONFIG,
        renamed(LLAMA, ("model.", "model.model.")),
        "renamed_block",
        "rename model.model.* to model.*",
    ),
    "in a part": (LLAMA_CONFIG, {f"net.{n}": t for n, t in LLAMA.items()}, "wrapper_prefix", "rename net.X to X"),
    "block": (
        BERT_CONFIG,
        renamed(BERT, ("attention.self", "attn")),
        "renamed_block",
        "rename bert.encoder.layer.{}.attn.* to bert.encoder.layer.{}.attention.self.*",
    ),
    "vocabulary": (BERT_CONFIG | {"vocab_size": 9}, BERT, "config_value", "Set vocab_size to 11"),
    "positions": (BERT_CONFIG | {"max_position_embeddings": 512}, BERT, "config_value", "max_position_embeddings to 6"),
    "inner width": (BERT_CONFIG | {"intermediate_size": 16}, BERT, "config_value", "intermediate_size to 12"),
    "layers": (BERT_CONFIG | {"num_hidden_layers": 5}, BERT, "config_value", "num_hidden_layers to 2"),
    "fewer layers": (BERT_CONFIG | {"num_hidden_layers": 1}, BERT, "config_value", "num_hidden_layers to 2"),
    "switch": (LLAMA_CONFIG | {"mlp_bias": True}, LLAMA, "config_value", "mlp_bias to false"),
    "untied": (LLAMA_CONFIG | {"tie_word_embeddings": True}, LLAMA, "untied", "Set tie_word_embeddings to false"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_can_be_mended_is_told_with_its_rule(name: str, checkpoint: Write) -> None:
    config, tensors, kind, words = SPOILT[name]
    diagnosis = diagnose(checkpoint(config, tensors))
    assert set(kinds(diagnosis)) == {kind}, diagnosis.findings
    assert words in told(diagnosis, kind)
    assert not diagnosis.healthy
    assert "encoder" in diagnosis.parts or "decoder" in diagnosis.parts, "what it would be, mended, is described too"


def test_several_faults_are_mended_together(checkpoint: Write) -> None:
    spoilt = {f"module.{name}": tensor for name, tensor in renamed(BERT, ("attention.self", "attn")).items()}
    diagnosis = diagnose(checkpoint(BERT_CONFIG | {"vocab_size": 9}, spoilt))
    assert set(kinds(diagnosis)) == {"wrapper_prefix", "renamed_block", "config_value"}
    assert diagnosis.labels == ("no", "yes", "maybe")


def test_what_nothing_mends_is_listed(checkpoint: Write) -> None:
    tensors = {name: tensor for name, tensor in BERT.items() if "layer.1.output" not in name}
    tensors |= {"odd.part": torch.ones(3), "optimizer.exp_avg": torch.ones(2)}
    tensors["bert.pooler.dense.bias"] = torch.ones(5)
    found = kinds(diagnose(checkpoint(BERT_CONFIG, tensors)))
    assert set(found) == {"missing", "unexpected", "misshapen", "stranger"}
    assert "4 tensors are missing: encoder.layer.1.output.dense.weight" in found["missing"]
    assert found["unexpected"] == "1 tensor is unexpected: odd.part"
    assert "bert.pooler.dense.bias: (5,) stored, (8,) wanted" in found["misshapen"]
    assert "the state of a training" in found["stranger"]


def test_transposed_matrices_are_told(checkpoint: Write) -> None:
    tensors = {
        name: tensor.T.contiguous() if "intermediate.dense.weight" in name else tensor for name, tensor in BERT.items()
    }
    diagnosis = diagnose(checkpoint(BERT_CONFIG, tensors))
    assert "bert.encoder.layer.{0, 1}.intermediate.dense.weight" in told(diagnosis, "transposed")
    assert "Transpose" in told(diagnosis, "transposed")


def test_adapters_left_inside_a_model_are_told(checkpoint: Write) -> None:
    tensors = renamed(LLAMA, ("q_proj.weight", "q_proj.base_layer.weight"))
    tensors |= {f"model.layers.0.self_attn.q_proj.lora_{half}.default.weight": torch.ones(2, 2) for half in "AB"}
    diagnosis = diagnose(checkpoint(LLAMA_CONFIG, tensors))
    assert set(kinds(diagnosis)) == {"wrapper_prefix", "stranger"}
    assert "merge_and_unload" in told(diagnosis, "stranger")


def test_weights_of_another_family_are_told(checkpoint: Write) -> None:
    diagnosis = diagnose(checkpoint(BERT_CONFIG, LLAMA))
    assert set(kinds(diagnosis)) == {"other_family"}
    assert "of the family bert, and the weights bear the names of llama" in told(diagnosis, "other_family")


def test_the_family_of_weights_is_guessed_where_the_config_names_none(checkpoint: Write) -> None:
    folder = checkpoint(LLAMA_CONFIG | {"model_type": "lama"}, LLAMA)
    assert "are those of the family llama" in told(diagnose(folder), "unknown_family")
    (folder / "config.json").unlink()
    assert "of the family llama" in told(diagnose(folder), "no_config")


def test_faults_of_a_config_are_told_each(checkpoint: Write) -> None:
    config = BERT_CONFIG | {"rotary_wheels": 4, "hidden_act": "gleu"}
    texts = [it.what for it in diagnose(checkpoint(config, BERT)).findings if it.kind == "config"]
    assert len(texts) == 2
    assert any("rotary_wheels is a key that nobody reads" in text for text in texts)
    assert any("did you mean gelu" in text for text in texts)


@pytest.mark.parametrize(
    ("config", "tensors", "architecture"),
    [
        (
            BERT_CONFIG,
            {n: t for n, t in BERT.items() if not n.startswith("classifier")},
            "BertForSequenceClassification",
        ),
        (LLAMA_CONFIG, {n: t for n, t in LLAMA.items() if n != "lm_head.weight"}, "LlamaForCausalLM"),
    ],
)
def test_a_head_that_the_config_names_and_nobody_saved_is_missed(
    config: dict[str, Any], tensors: Tensors, architecture: str, checkpoint: Write
) -> None:
    diagnosis = diagnose(checkpoint(config, tensors))
    assert architecture in told(diagnosis, "no_head")
    assert not diagnosis.healthy


def test_a_base_that_says_it_is_one_misses_no_head(checkpoint: Write) -> None:
    tensors = {name.removeprefix("bert."): tensor for name, tensor in BERT.items() if name.startswith("bert.")}
    diagnosis = diagnose(checkpoint(BERT_CONFIG | {"architectures": ["BertModel"]}, tensors))
    assert diagnosis.healthy
    assert diagnosis.parts["head"] == "none: the bare model"


def test_values_that_are_no_numbers_are_told(checkpoint: Write) -> None:
    tensors = BERT | {"classifier.weight": torch.full((3, 8), float("nan"))}
    diagnosis = diagnose(checkpoint(BERT_CONFIG, tensors))
    assert told(diagnosis, "not_finite").startswith("of the values of classifier.weight, 24 are not a number (NaN)")
    assert not diagnosis.healthy


def test_how_far_reading_has_come_is_told(checkpoint: Write) -> None:
    steps: list[tuple[int, int]] = []
    diagnose(checkpoint(BERT_CONFIG, BERT), progress=lambda done, total: steps.append((done, total)))
    total = sum(tensor.numel() for tensor in BERT.values())
    assert steps[-1] == (total, total)
    assert len(steps) == len(BERT)


# Tokenizers


def test_a_tokenizer_with_more_tokens_than_the_model_is_told(checkpoint: Write) -> None:
    diagnosis = diagnose(with_tokenizer(checkpoint(BERT_CONFIG, BERT), 20))
    assert "the tokenizer has 20 tokens, and the model knows 11" in told(diagnosis, "tokenizer_too_large")
    assert not diagnosis.healthy


@pytest.mark.parametrize(
    ("config", "tensors", "severity"), [(BERT_CONFIG, BERT, "error"), (LLAMA_CONFIG, LLAMA, "note")]
)
def test_a_classifier_needs_a_tokenizer_and_a_bare_model_may_do_without(
    config: dict[str, Any], tensors: Tensors, severity: str, checkpoint: Write
) -> None:
    [finding] = diagnose(checkpoint(config, tensors)).findings
    assert (finding.kind, finding.severity) == ("no_tokenizer", severity)


def test_a_damaged_tokenizer_is_told(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    assert "tokenizer.json" in told(diagnose(folder), "tokenizer")


# Files


def test_every_damaged_file_is_told(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    names = [f"model-0000{number}-of-00004.safetensors" for number in range(1, 5)]
    parts = [dict(list(BERT.items())[start::4]) for start in range(4)]
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name)
    places = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}), encoding="utf-8")
    (folder / "model.safetensors").unlink()
    assert "weights" in diagnose(folder).parts

    (folder / names[0]).unlink()
    (folder / names[1]).write_bytes((folder / names[1]).read_bytes()[:-40])
    (folder / names[2]).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", encoding="utf-8"
    )
    diagnosis = diagnose(folder)
    assert {"missing_shard", "truncated_file", "lfs_pointer"} <= set(kinds(diagnosis))
    assert "1 of 4 weight files are missing, with 11 of 41 tensors" in told(diagnosis, "missing_shard")
    assert names[1] in told(diagnosis, "truncated_file")
    assert "git lfs pull" in told(diagnosis, "lfs_pointer")
    assert diagnosis.family == "bert"


def test_a_pickle_is_not_read_unless_it_is_allowed(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    (folder / "model.safetensors").unlink()
    torch.save(BERT, folder / "pytorch_model.bin")
    diagnosis = diagnose(folder)
    assert not diagnosis.healthy
    assert "heedful convert" in told(diagnosis, "pickle_only")
    assert diagnosis.parameters is None
    allowed = diagnose(folder, allow_pickle=True)
    assert allowed.parameters == sum(tensor.numel() for tensor in BERT.values())
    assert kinds(allowed).keys() == {"pickle"}


def test_a_pickle_that_is_a_program_is_told(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    (folder / "model.safetensors").unlink()
    torch.save({"a": print}, folder / "pytorch_model.bin")
    assert "wants to use" in told(diagnose(folder), "pickle")


@pytest.mark.parametrize(("name", "told_of"), [("model.gguf", "llama.cpp"), ("tf_model.h5", "TensorFlow")])
def test_weights_in_another_format_are_told(name: str, told_of: str, checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    (folder / "model.safetensors").rename(folder / name)
    assert told_of in told(diagnose(folder), "other_format")


def test_no_weights_at_all(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    (folder / "model.safetensors").unlink()
    assert "model.safetensors does not exist" in told(diagnose(folder), "no_weights")


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    diagnosis = diagnose(tmp_path)
    assert diagnosis.form is Form.UNKNOWN
    assert not diagnosis.healthy


def test_an_adapter_without_its_base_is_told(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "owner/base"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({"base_model.model.x.lora_A.weight": torch.ones(8, 4)}, tmp_path / "adapter_model.safetensors")
    diagnosis = diagnose(tmp_path)
    assert diagnosis.form is Form.ADAPTER
    assert "rank 8" in diagnosis.what
    assert 'heedful.load_model("owner/base"' in told(diagnosis, "adapter_without_base")


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "bert", "model_type": "bert"}', "{}"])
def test_a_config_that_is_none_is_told(content: str, checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    (folder / "config.json").write_text(content, encoding="utf-8")
    diagnosis = diagnose(folder)
    assert not diagnosis.healthy
    assert diagnosis.parameters is not None


# Folders of ours


def spoil(folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors")
    return folder


OURS: dict[str, tuple[Callable[[Tensors], Tensors], str, str]] = {
    "wrapped": (
        lambda tensors: {f"module.{n}": t for n, t in tensors.items()},
        "wrapper_prefix",
        "rename module.X to X",
    ),
    "renamed": (
        lambda tensors: renamed(tensors, (".feed_forward.", ".mlp.")),
        "renamed_block",
        "rename model.encoder.layers.{}.mlp.",
    ),
    "no head": (
        lambda tensors: {n: t for n, t in tensors.items() if not n.startswith("head.")},
        "missing",
        "head.output.weight",
    ),
    "one more": (lambda tensors: tensors | {"odd": torch.ones(1)}, "unexpected", "odd"),
    "misshapen": (
        lambda tensors: tensors | {"head.output.bias": torch.ones(7)},
        "misshapen",
        "(7,) stored, (3,) wanted",
    ),
    "infinite": (
        lambda tensors: tensors | {"head.output.bias": torch.full((3,), torch.inf)},
        "not_finite",
        "3 are infinite",
    ),
    "fresh": (
        lambda tensors: tensors | {"head.output.weight": torch.zeros_like(tensors["head.output.weight"])},
        "untrained",
        "head",
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_weights_of_ours_are_held_against_their_spec(name: str, run_copy: Path) -> None:
    change, kind, words = OURS[name]
    diagnosis = diagnose(spoil(run_copy, change))
    assert words in told(diagnosis, kind)
    assert not diagnosis.healthy


@pytest.mark.parametrize(
    ("file", "change", "kind"),
    [
        ("config.json", {"format_version": 9}, "config"),
        ("config.json", {"spec": {"d_model": -1}}, "config"),
        ("task.json", {"head": {"num_labels": "many"}}, "config"),
        ("task.json", {"labels": ["one"]}, "labels"),
        ("config.json", {"module": {"file": "own.py"}}, "own_module"),
    ],
)
def test_files_of_ours_that_do_not_fit_are_told(file: str, change: dict[str, Any], kind: str, run_copy: Path) -> None:
    data = json.loads((run_copy / file).read_text(encoding="utf-8"))
    (run_copy / file).write_text(json.dumps(data | change), encoding="utf-8")
    diagnosis = diagnose(run_copy)
    assert kind in kinds(diagnosis)
    assert diagnosis.healthy == (kind == "own_module")


def test_a_run_without_its_config_is_still_known(run_copy: Path) -> None:
    (run_copy / "config.json").unlink()
    diagnosis = diagnose(run_copy)
    assert diagnosis.form is Form.HEEDFUL
    assert "config" in kinds(diagnosis)


# The machine's view


def test_findings_come_with_the_worst_first(checkpoint: Write) -> None:
    tensors = {n: t for n, t in BERT.items() if not n.startswith("classifier")} | {
        "bert.embeddings.position_ids": torch.arange(6)
    }
    tensors["bert.pooler.dense.bias"] = torch.full((8,), torch.nan)
    severities = [it.severity for it in diagnose(checkpoint(BERT_CONFIG, tensors)).findings]
    assert severities == sorted(severities, key=list(Severity).index)
    assert len(set(severities)) == 3


def test_nothing_is_written(checkpoint: Write, tmp_path: Path) -> None:
    folder = checkpoint(BERT_CONFIG, BERT)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    diagnose(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()
    }


# Hostile folders

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = [
    *BERT_CONFIG,
    "architectures",
    "origin",
    "module",
    "spec",
    "format_version",
    "tie_word_embeddings",
    "problem_type",
]


@given(
    change=st.dictionaries(st.sampled_from(KEYS), json_values, max_size=4),
    model_type=st.sampled_from(["bert", "llama"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_config_breaks_the_doctor(change: dict[str, Any], model_type: str, checkpoint: Write) -> None:
    base = BERT_CONFIG if model_type == "bert" else LLAMA_CONFIG
    diagnosis = diagnose(checkpoint(base | change, BERT if model_type == "bert" else LLAMA))
    assert json.loads(diagnosis.to_json())["folder"]


tensor_names = st.text(st.sampled_from("abcl.0{}_*"), min_size=1, max_size=12) | st.sampled_from(list(BERT))


@given(names=st.sets(tensor_names, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_names_of_weights_break_the_doctor(names: set[str], checkpoint: Write) -> None:
    tensors = {name: BERT.get(name, torch.ones(2, 2)) for name in names}
    assert not diagnose(checkpoint(BERT_CONFIG, tensors)).healthy
