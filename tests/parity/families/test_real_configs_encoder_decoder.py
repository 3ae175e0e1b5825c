"""Configs with the keys that checkpoints on the Hub really have, and weights as earlier code stored them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from tests.parity.families.harness import TOLERANCE, hidden_states, largest_error, reference_outputs
from tests.parity.families.reference import in_float64, make

from heedful.errors import CheckpointError
from heedful.families import Pretrained, read_pretrained

BART_LIKE: dict[str, Any] = {
    "_num_labels": 3,
    "activation_dropout": 0.0,
    "activation_function": "gelu",
    "add_bias_logits": False,
    "add_final_layer_norm": False,
    "attention_dropout": 0.1,
    "bos_token_id": 0,
    "classif_dropout": 0.0,
    "classifier_dropout": 0.0,
    "d_model": 24,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 32,
    "decoder_layerdrop": 0.0,
    "decoder_layers": 1,
    "decoder_start_token_id": 2,
    "dropout": 0.1,
    "early_stopping": True,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 32,
    "encoder_layerdrop": 0.0,
    "encoder_layers": 2,
    "eos_token_id": 2,
    "forced_eos_token_id": 2,
    "gradient_checkpointing": False,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
    "init_std": 0.02,
    "is_encoder_decoder": True,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2},
    "length_penalty": 2.0,
    "max_length": 142,
    "max_position_embeddings": 16,
    "min_length": 56,
    "no_repeat_ngram_size": 3,
    "normalize_before": False,
    "num_beams": 4,
    "num_hidden_layers": 2,
    "output_past": True,
    "pad_token_id": 1,
    "scale_embedding": False,
    "task_specific_params": {"summarization": {"length_penalty": 2.0}},
    "torch_dtype": "float32",
    "transformers_version": "4.7.0.dev0",
    "use_cache": True,
    "vocab_size": 31,
}
PRE_NORM = {"normalize_before": True, "add_final_layer_norm": True}
COMPUTED = {"static_position_embeddings": True, "normalize_embedding": False, "scale_embedding": True}
T5_LIKE: dict[str, Any] = {
    "d_ff": 32,
    "d_kv": 6,
    "d_model": 24,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-6,
    "n_positions": 512,
    "num_heads": 4,
    "num_layers": 2,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
    "task_specific_params": {"summarization": {"prefix": "summarize: "}},
    "vocab_size": 31,
}
V1_1 = {
    "decoder_start_token_id": 0,
    "feed_forward_proj": "gated-gelu",
    "num_decoder_layers": 1,
    "tie_word_embeddings": False,
    "tokenizer_class": "T5Tokenizer",
    "use_cache": True,
}
CROSS_BIAS = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"


@dataclass(frozen=True)
class Checkpoint:
    """A config, and what sets its stored weights apart from those that upstream stores now."""

    config: Mapping[str, Any]
    architecture: str
    extra: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Tensors of older code, by name: their shapes."""
    absent: tuple[str, ...] = ()
    own_output: bool = False
    """The output is not tied, whatever upstream's classes do with such a config."""


CHECKPOINTS = {
    "facebook/bart-large-cnn": Checkpoint(
        BART_LIKE
        | {"model_type": "bart", "prefix": " ", "force_bos_token_to_be_generated": True, "forced_bos_token_id": 0}
        | {"extra_pos_embeddings": 2, "normalize_embedding": True, "static_position_embeddings": False},
        "BartForConditionalGeneration",
        extra={"model.encoder.version": (1,), "model.decoder.version": (1,)},
    ),
    "facebook/bart-base": Checkpoint(
        BART_LIKE | {"model_type": "bart"}, "BartForConditionalGeneration", absent=("final_logits_bias",)
    ),
    "facebook/mbart-large-50": Checkpoint(
        BART_LIKE
        | PRE_NORM
        | {"model_type": "mbart", "normalize_embedding": True, "static_position_embeddings": False}
        | {"tokenizer_class": "MBart50Tokenizer", "decoder_start_token_id": 2, "scale_embedding": True},
        "MBartForConditionalGeneration",
    ),
    "google/pegasus-xsum": Checkpoint(
        BART_LIKE
        | PRE_NORM
        | COMPUTED
        | {"model_type": "pegasus", "activation_function": "relu", "extra_pos_embeddings": 1, "pad_token_id": 0},
        "PegasusForConditionalGeneration",
    ),
    "Helsinki-NLP/opus-mt": Checkpoint(
        BART_LIKE
        | COMPUTED
        | {"model_type": "marian", "activation_function": "swish", "bad_words_ids": [[30]], "pad_token_id": 30}
        | {"decoder_start_token_id": 30, "decoder_vocab_size": 31, "share_encoder_decoder_embeddings": True},
        "MarianMTModel",
    ),
    "facebook/nllb-200": Checkpoint(
        {key: value for key, value in BART_LIKE.items() if key not in ("normalize_before", "add_final_layer_norm")}
        | {"model_type": "m2m_100", "activation_function": "relu", "scale_embedding": True}
        | {"tokenizer_class": "NllbTokenizer", "max_length": 200},
        "M2M100ForConditionalGeneration",
        extra={"model.encoder.embed_positions.weights": (18, 24), "model.decoder.embed_positions.weights": (18, 24)},
    ),
    "t5-small": Checkpoint(T5_LIKE | {"model_type": "t5"}, "T5ForConditionalGeneration", extra={CROSS_BIAS: (32, 4)}),
    "google/flan-t5": Checkpoint(
        T5_LIKE
        | V1_1
        | {"model_type": "t5", "dense_act_fn": "gelu_new", "is_gated_act": True}
        | {"relative_attention_max_distance": 128},
        "T5ForConditionalGeneration",
        own_output=True,
    ),
    "google/mt5": Checkpoint(T5_LIKE | V1_1 | {"model_type": "mt5"}, "MT5ForConditionalGeneration", own_output=True),
}


def store(checkpoint: Checkpoint, folder: Path) -> Any:
    """Write a folder as older code did, every name of a shared tensor included, and return its reference."""
    folder.mkdir(exist_ok=True)
    config = {**checkpoint.config, "architectures": [checkpoint.architecture]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    reference: Any = make(checkpoint.architecture, transformers.AutoConfig.from_pretrained(folder))
    if checkpoint.own_output:
        weight = torch.randn(31, 24, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        reference.lm_head.weight = torch.nn.Parameter(weight)
    for name in checkpoint.absent:
        reference.get_buffer(name).zero_()
    tensors = {name: tensor.clone() for name, tensor in reference.state_dict().items()}
    tensors = {name: tensor for name, tensor in tensors.items() if name not in checkpoint.absent}
    tensors |= {name: torch.ones(shape) for name, shape in checkpoint.extra.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return reference


def error(reference: Any, pretrained: Pretrained) -> float:
    """The largest difference of the logits of a few texts."""
    rows = [torch.tensor([[4, 9, 7, 11, 3]]), torch.tensor([[8, 5]])]
    targets = [torch.tensor([[6, 12]]), torch.tensor([[13, 20, 4]])]
    model = pretrained.load_model(dtype=torch.float64)
    with torch.no_grad():
        actual = [model.logits(states) for states in hidden_states(model, rows, targets, left=False)]
    return largest_error(actual, reference_outputs(reference, rows, targets, "logits"))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_of_the_hub_give_the_references_logits(name: str, tmp_path: Path) -> None:
    checkpoint = CHECKPOINTS[name]
    reference = store(checkpoint, tmp_path)
    pretrained = read_pretrained(tmp_path)
    assert error(reference, pretrained) <= TOLERANCE
    assert pretrained.spec.output is not None and pretrained.spec.output.tied is not checkpoint.own_output
    assert all(any(note.startswith(extra) for note in pretrained.notes) for extra in checkpoint.extra)
    parameters = sum(tensor.numel() for tensor in reference.parameters() if tensor.requires_grad)
    ours = sum(tensor.numel() for tensor in pretrained.load_model().parameters())
    assert ours - parameters in (0, 31 if pretrained.spec.output.bias else 0)  # upstream's bias is a buffer


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_that_new_code_has_saved_again_give_the_same(name: str, tmp_path: Path) -> None:
    store(CHECKPOINTS[name], tmp_path / "old")
    with in_float64():
        again = getattr(transformers, CHECKPOINTS[name].architecture).from_pretrained(
            tmp_path / "old", dtype=torch.float64, attn_implementation="eager"
        )
    again.save_pretrained(tmp_path / "new")
    assert error(again.eval(), read_pretrained(tmp_path / "new")) <= TOLERANCE


BART_REFUSED: dict[str, Any] = {
    "tie_word_embeddings": False,
    "do_blenderbot_90_layernorm": True,
    "decoder_layers": 2000,
    "encoder_attention_heads": 5,
}
REFUSED: dict[str, dict[str, Any]] = {
    "facebook/bart-base": BART_REFUSED
    | PRE_NORM
    | {"normalize_embedding": False, "static_position_embeddings": True, "extra_pos_embeddings": 0},
    "facebook/mbart-large-50": BART_REFUSED
    | {"normalize_before": False, "add_final_layer_norm": False, "normalize_embedding": False}
    | {"static_position_embeddings": True, "extra_pos_embeddings": 0},
    "google/pegasus-xsum": BART_REFUSED
    | {"normalize_before": False, "add_final_layer_norm": False, "normalize_embedding": True}
    | {"static_position_embeddings": False},
    "Helsinki-NLP/opus-mt": BART_REFUSED
    | PRE_NORM
    | {"normalize_embedding": True, "static_position_embeddings": False},
    "facebook/nllb-200": BART_REFUSED
    | {"normalize_before": False, "add_final_layer_norm": False, "pad_token_id": 2**16},
    "t5-small": {
        "feed_forward_proj": "gated-softplus",
        "num_decoder_layers": 2000,
        "relative_attention_num_buckets": 7,
    },
    "google/mt5": {"feed_forward_proj": "relu-gated", "is_gated_act": "yes", "relative_attention_max_distance": 16},
}


Changed = Callable[[str, Mapping[str, Any]], Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The weight files of the checkpoints, each made once."""
    folder = tmp_path_factory.mktemp("stored")

    @cache
    def made(name: str) -> bytes:
        store(CHECKPOINTS[name], folder / name.replace("/", "-"))
        return (folder / name.replace("/", "-") / "model.safetensors").read_bytes()

    return made


@pytest.fixture
def changed(weights: Callable[[str], bytes], tmp_path: Path) -> Changed:
    """A checkpoint whose config says something else."""

    def write(name: str, changes: Mapping[str, Any]) -> Path:
        (tmp_path / "config.json").write_text(json.dumps({**CHECKPOINTS[name].config, **changes}), encoding="utf-8")
        (tmp_path / "model.safetensors").write_bytes(weights(name))
        return tmp_path

    return write


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in REFUSED.items() for key in keys])
def test_what_would_be_another_model_is_refused_by_name(name: str, key: str, changed: Changed) -> None:
    with pytest.raises(CheckpointError, match=key.removeprefix("relative_attention_")):
        read_pretrained(changed(name, {key: REFUSED[name][key]}))


@pytest.mark.parametrize(
    ("name", "key"),
    [("t5-small", "num_decoder_layers"), ("facebook/bart-base", "encoder_layers"), ("google/mt5", "num_layers")],
)
def test_layers_that_the_config_does_not_know_are_unexpected(name: str, key: str, changed: Changed) -> None:
    with pytest.raises(CheckpointError, match=r"unexpected .*\.1\."):
        read_pretrained(changed(name, {key: 1}))
