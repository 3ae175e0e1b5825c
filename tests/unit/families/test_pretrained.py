"""A foreign checkpoint is read as what it is, or refused with everything that is wrong with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.families.conftest import BERT_CONFIG, LLAMA_CONFIG, bert_tensors, llama_tensors
from torch import Tensor

import heedful
from heedful.data import LabelKind
from heedful.errors import CheckpointError, HeedfulError
from heedful.families import FAMILIES, ConfigReader, load_model, read_pretrained

Write = Callable[[Mapping[str, Any], Mapping[str, Tensor]], Path]


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_pretrained(folder)
    return caught.value.message


def test_a_classifier_is_read_with_its_labels(checkpoint: Write) -> None:
    tensors = bert_tensors()
    pretrained = read_pretrained(checkpoint(BERT_CONFIG, tensors))
    assert pretrained.has_head
    assert pretrained.labels == ("no", "yes", "maybe")
    assert pretrained.label_kind is LabelKind.SINGLE
    assert pretrained.spec.output is None
    head = pretrained.load_head()
    assert torch.equal(head.output.weight, tensors["classifier.weight"])
    model = pretrained.load_model()
    assert not model.training
    assert torch.equal(model.token_embedding.weight, tensors["bert.embeddings.word_embeddings.weight"])


def test_all_faults_of_the_weights_are_in_one_message(checkpoint: Write) -> None:
    tensors = bert_tensors()
    tensors["bert.encoder.layer.0.output.odd"] = torch.zeros(3)
    del tensors["bert.encoder.layer.1.attention.self.key.bias"]
    tensors["bert.encoder.layer.0.intermediate.dense.weight"] = torch.zeros(13, 8)
    message = refusal(checkpoint(BERT_CONFIG, tensors))
    assert "3 faults" in message
    assert "unexpected bert.encoder.layer.0.output.odd (3,)" in message
    assert "missing encoder.layer.1.attention.self.key.bias" in message
    assert "misshapen bert.encoder.layer.0.intermediate.dense.weight: (13, 8) stored" in message


def test_keys_that_nobody_reads_are_told_with_the_faults_of_the_weights(checkpoint: Write) -> None:
    tensors = bert_tensors() | {"odd.weight": torch.zeros(3)}
    del tensors["classifier.bias"]
    message = refusal(checkpoint(BERT_CONFIG | {"rotary_wheels": 4}, tensors))
    assert "3 faults" in message
    assert "rotary_wheels is a key that nobody reads" in message
    assert "unexpected odd.weight (3,)" in message
    assert "missing classifier.bias" in message


def test_all_faults_of_the_config_are_in_one_message(checkpoint: Write) -> None:
    config = BERT_CONFIG | {
        "hidden_size": "eight",
        "hidden_act": "gleu",
        "position_embedding_type": "relative_key",
        "rotary_wheels": 4,
        "is_decoder": True,
        "problem_type": "regression",
    }
    message = refusal(checkpoint(config, bert_tensors()))
    for key in ("hidden_size", "did you mean gelu", "relative", "rotary_wheels", "is_decoder", "problem_type"):
        assert key in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocab_size", 10**12),
        ("vocab_size", 2**30),
        ("num_hidden_layers", -1),
        ("num_hidden_layers", 10**9),
        ("num_attention_heads", 0),
        ("num_attention_heads", 3),
        ("hidden_size", 10**9),
        ("intermediate_size", 10**12),
        ("max_position_embeddings", 10**12),
        ("layer_norm_eps", float("nan")),
        ("hidden_dropout_prob", 7),
        ("vocab_size", True),
        ("vocab_size", None),
        ("type_vocab_size", [2]),
        ("id2label", {"0": "a", "7": "b"}),
        ("id2label", {"0": 5}),
        ("id2label", ["a"]),
        ("pruned_heads", {"0": [1]}),
    ],
)
def test_absurd_values_are_refused_by_name(key: str, value: object, checkpoint: Write) -> None:
    message = refusal(checkpoint(BERT_CONFIG | {key: value}, bert_tensors()))
    field = {"hidden_size": "d_model", "intermediate_size": "d_ff", "vocab_size": "vocabulary_size"}.get(key, key)
    assert key in message or field in message


@pytest.mark.parametrize(
    "sizes",
    [
        {"vocab_size": 2**24, "hidden_size": 2**16, "intermediate_size": 2**20, "num_attention_heads": 8},
        {"num_hidden_layers": 1000},
    ],
    ids=lambda sizes: next(iter(sizes)),
)
def test_absurd_sizes_cost_neither_time_nor_memory(sizes: dict[str, int], checkpoint: Write) -> None:
    """Within the limits of each number, a config may still ask for terabytes: nothing is allocated to find out."""
    folder = checkpoint(BERT_CONFIG | sizes, bert_tensors())
    program = (
        "import resource, sys, time, heedful.families as families\n"
        "from heedful.errors import CheckpointError\n"
        "before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()\n"
        "try:\n    families.read_pretrained(sys.argv[1])\n"
        "except CheckpointError as error:\n    assert 'misshapen' in str(error) or '1000 layers' in str(error), error\n"
        "else:\n    raise SystemExit('loaded')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.perf_counter() - start)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kilobytes, seconds = done.stdout.split()
    assert int(kilobytes) < 50_000
    assert float(seconds) < 5


def test_an_unknown_family_is_refused_with_the_nearest(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG | {"model_type": "berd"}, bert_tensors())
    with pytest.raises(CheckpointError, match="model_type 'berd'") as caught:
        read_pretrained(folder)
    assert caught.value.remedy is not None
    assert "bert" in caught.value.remedy


@pytest.mark.parametrize("stored", [("model.embed_tokens.weight",), ("lm_head.weight",), ("both",)])
def test_a_tied_output_may_be_stored_under_either_name_or_both(stored: tuple[str], checkpoint: Write) -> None:
    tensors = llama_tensors(tied=True)
    table = tensors["model.embed_tokens.weight"]
    if stored != ("model.embed_tokens.weight",):
        tensors["lm_head.weight"] = table.clone()
    if stored == ("lm_head.weight",):
        del tensors["model.embed_tokens.weight"]
    model = load_model(checkpoint(LLAMA_CONFIG | {"tie_word_embeddings": True}, tensors))
    assert torch.equal(model.token_embedding.weight, table)
    assert "output.weight" not in model.state_dict()
    hidden = torch.randn(2, 8)
    assert torch.equal(model.logits(hidden), hidden @ table.T)


def test_a_tied_output_with_other_values_is_refused(checkpoint: Write) -> None:
    config = LLAMA_CONFIG | {"tie_word_embeddings": True}
    folder = checkpoint(config, llama_tensors(tied=True) | {"lm_head.weight": torch.zeros(11, 8)})
    with pytest.raises(CheckpointError, match="must be one and the same tensor") as caught:
        load_model(folder)
    assert caught.value.remedy is not None
    assert "tie_word_embeddings" in caught.value.remedy


def test_a_language_model_head_that_is_not_there_is_not_made_up(checkpoint: Write) -> None:
    model = load_model(checkpoint(LLAMA_CONFIG, llama_tensors(tied=True)))
    assert model.spec.output is None
    with pytest.raises(HeedfulError, match="no language-model head"):
        model.logits(torch.zeros(1, 8))


def test_a_classification_head_that_is_not_there_is_not_made_up(checkpoint: Write) -> None:
    tensors = {name: tensor for name, tensor in bert_tensors().items() if not name.startswith("classifier")}
    folder = checkpoint(BERT_CONFIG, tensors)
    pretrained = read_pretrained(folder)
    assert not pretrained.has_head
    assert pretrained.labels == ()
    with pytest.raises(CheckpointError, match="no trained classification head"):
        pretrained.load_head()


def test_a_fresh_head_takes_over_what_is_trained_of_it(checkpoint: Write) -> None:
    tensors = bert_tensors()
    pretrained = read_pretrained(checkpoint(BERT_CONFIG, tensors))
    head, kept = pretrained.fresh_head(7, seed=1)
    assert kept == ("dense.weight", "dense.bias")
    assert head.dense is not None
    assert torch.equal(head.dense.weight, tensors["bert.pooler.dense.weight"])
    assert head.output.weight.shape == (7, 8)
    again, _ = pretrained.fresh_head(7, seed=1)
    assert torch.equal(head.output.weight, again.output.weight)


def test_a_head_with_other_labels_than_the_config_is_misshapen(checkpoint: Write) -> None:
    assert "misshapen classifier.weight: (4, 8) stored" in refusal(checkpoint(BERT_CONFIG, bert_tensors(labels=4)))


def test_the_head_of_another_job_is_not_taken_for_ours(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG | {"architectures": ["BertForTokenClassification"]}, bert_tensors())
    assert "unexpected classifier.weight" in refusal(folder)


def test_names_before_pytorch_are_understood(checkpoint: Write) -> None:
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in bert_tensors().items()
    }
    read_pretrained(checkpoint(BERT_CONFIG, tensors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_keep_their_dtype_unless_another_is_wanted(dtype: torch.dtype, checkpoint: Write) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in bert_tensors().items()}
    folder = checkpoint(BERT_CONFIG, tensors)
    assert {parameter.dtype for parameter in load_model(folder).parameters()} == {dtype}
    assert {parameter.dtype for parameter in load_model(folder, dtype=torch.float32).parameters()} == {torch.float32}


def test_mixed_dtypes_become_float32(checkpoint: Write) -> None:
    tensors = bert_tensors()
    tensors["bert.pooler.dense.weight"] = tensors["bert.pooler.dense.weight"].half()
    tensors["bert.embeddings.LayerNorm.bias"] = tensors["bert.embeddings.LayerNorm.bias"].half()
    assert {parameter.dtype for parameter in load_model(checkpoint(BERT_CONFIG, tensors)).parameters()} == {
        torch.float32
    }


def test_learning_leaves_the_file_as_it_is(checkpoint: Write) -> None:
    folder = checkpoint(BERT_CONFIG, bert_tensors())
    before = (folder / "model.safetensors").read_bytes()
    model = load_model(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert (folder / "model.safetensors").read_bytes() == before


def test_nothing_is_imported_from_a_folder_and_no_network_is_used(checkpoint: Write) -> None:
    """A config may name code; it is data and stays data."""
    config = BERT_CONFIG | {
        "auto_map": {"AutoModel": "evil.Model", "AutoConfig": "somebody/evil--evil.Config"},
        "_attn_implementation": "somebody/evil-kernel",
        "custom_pipelines": {"x": {"impl": "evil.P"}},
    }
    folder = checkpoint(config, bert_tensors())
    (folder / "evil.py").write_text("raise SystemExit('executed')", encoding="utf-8")
    program = (
        "import sys, torch, heedful.families as families\n"
        "folder = sys.argv[1]\n"
        "def hook(event, arguments):\n"
        "    code = event in ('exec', 'compile', 'import') and ('evil' in str(arguments) or folder in str(arguments))\n"
        "    source = event == 'open' and folder in str(arguments[0]) and str(arguments[0]).endswith('.py')\n"
        "    if code or source or event.startswith('socket') or event in ('os.system', 'subprocess.Popen'):\n"
        "        raise SystemExit(f'{event} {arguments}'[:300])\n"
        "families.load_model  # what is imported lazily is there now\n"
        "sys.addaudithook(hook)\n"
        "model = families.load_model(folder)\n"
        "model.encode(torch.tensor([[1, 2, 3]]))\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("model_type", FAMILIES)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_config_is_read_or_refused(model_type: str, data: st.DataObject, checkpoint: Write) -> None:
    """Whatever stands in a config, nothing but our own errors comes out."""
    known = ConfigReader({})
    _read_all(model_type, known)
    keys = st.sampled_from(sorted(known.read)) | st.text(max_size=12)
    config = data.draw(st.dictionaries(keys, json_values, max_size=6)) | {"model_type": model_type}
    folder = checkpoint(config, {"a.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError):
        heedful.load_model(folder)


def _read_all(model_type: str, reader: ConfigReader) -> None:
    family = FAMILIES[model_type]
    family.spec(reader)
    if family.language_model is not None:
        family.language_model.spec(reader)
    if family.classifier is not None:
        family.classifier.spec(reader, 2)
