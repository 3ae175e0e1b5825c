"""Configs with the keys that decoders on the Hub really have, and weights as earlier code stored them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.parity.families.harness import TOLERANCE, hidden_states, largest_error, reference_outputs
from tests.parity.families.hub import Checkpoint, store

from heedful.errors import CheckpointError
from heedful.families import read_pretrained

GPT2_LIKE: dict[str, Any] = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "attn_pdrop": 0.1,
    "bos_token_id": 30,
    "embd_pdrop": 0.1,
    "eos_token_id": 30,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-5,
    "n_ctx": 16,
    "n_embd": 24,
    "n_head": 4,
    "n_layer": 2,
    "n_positions": 16,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 31,
}
PYTHIA_LIKE: dict[str, Any] = {
    "model_type": "gpt_neox",
    "bos_token_id": 0,
    "eos_token_id": 0,
    "hidden_act": "gelu",
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 16,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "rotary_emb_base": 10000,
    "rotary_pct": 0.25,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "transformers_version": "4.24.0",
    "use_cache": True,
    "use_parallel_residual": True,
    "vocab_size": 31,
}
LLAMA_LIKE: dict[str, Any] = {
    "model_type": "llama",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.0",
    "use_cache": True,
    "vocab_size": 31,
}
LLAMA3_ROPE = {
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 16,
    "rope_type": "llama3",
}
QWEN_LIKE = LLAMA_LIKE | {
    "model_type": "qwen2",
    "attention_dropout": 0.0,
    "max_window_layers": 28,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
}
GEMMA_LIKE = {key: value for key, value in LLAMA_LIKE.items() if key != "tie_word_embeddings"} | {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "head_dim": 8,
    "pad_token_id": 0,
}
GEMMA2_LIKE = GEMMA_LIKE | {
    "model_type": "gemma2",
    "attn_logit_softcapping": 50.0,
    "cache_implementation": "hybrid",
    "final_logit_softcapping": 30.0,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "sliding_window": 3,
}
PHI3_LIKE = LLAMA_LIKE | {
    "model_type": "phi3",
    "_name_or_path": "Phi-3-mini-4k-instruct",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_phi3.Phi3Config",
        "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM",
    },
    "embd_pdrop": 0.0,
    "num_key_value_heads": 4,
    "original_max_position_embeddings": 64,
    "pad_token_id": 0,
    "resid_pdrop": 0.0,
    "rope_scaling": None,
    "sliding_window": 5,
}
EARLIER_BUFFERS = {
    f"gpt_neox.layers.{number}.attention.{name}": shape
    for number in range(2)
    for name, shape in {"bias": (1, 1, 16, 16), "masked_bias": (), "rotary_emb.inv_freq": (1,)}.items()
}
TIED = ("lm_head.weight",)

CHECKPOINTS = {
    "openai-community/gpt2": Checkpoint(
        GPT2_LIKE,
        "GPT2LMHeadModel",
        renamed={"transformer.": ""},
        absent=TIED,
        extra={"h.0.attn.bias": (1, 1, 16, 16), "h.1.attn.bias": (1, 1, 16, 16), "h.0.attn.masked_bias": ()},
    ),
    "distilbert/distilgpt2": Checkpoint(
        GPT2_LIKE | {"_num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}, "GPT2LMHeadModel"
    ),
    "EleutherAI/pythia-70m": Checkpoint(
        PYTHIA_LIKE, "GPTNeoXForCausalLM", renamed={"lm_head.": "embed_out."}, extra=EARLIER_BUFFERS
    ),
    "EleutherAI/gpt-neox-20b": Checkpoint(
        PYTHIA_LIKE | {"attention_probs_dropout_prob": 0, "hidden_dropout_prob": 0, "hidden_act": "gelu_fast"},
        "GPTNeoXForCausalLM",
        renamed={"lm_head.": "embed_out."},
    ),
    "a GPT-NeoX that a version between has saved": Checkpoint(
        PYTHIA_LIKE
        | {"attention_bias": True, "attention_dropout": 0.0, "hidden_dropout": 0.0, "classifier_dropout": 0.1}
        | {"rope_theta": 10000, "partial_rotary_factor": 0.25, "rope_scaling": None},
        "GPTNeoXForCausalLM",
    ),
    "huggyllama/llama-7b": Checkpoint(
        LLAMA_LIKE | {"max_sequence_length": 64, "num_key_value_heads": 4, "pad_token_id": 0, "pretraining_tp": 1},
        "LlamaForCausalLM",
        extra={f"model.layers.{number}.self_attn.rotary_emb.inv_freq": (3,) for number in range(2)},
    ),
    "lmsys/vicuna-7b-v1.5-16k": Checkpoint(
        LLAMA_LIKE | {"rope_scaling": {"factor": 4.0, "type": "linear"}, "max_sequence_length": 256}, "LlamaForCausalLM"
    ),
    "meta-llama/Llama-3.2-1B": Checkpoint(
        LLAMA_LIKE
        | {"attention_bias": False, "attention_dropout": 0.0, "head_dim": 6, "mlp_bias": False, "pretraining_tp": 1}
        | {"eos_token_id": [2, 3, 4], "rope_scaling": LLAMA3_ROPE, "rope_theta": 500000.0, "tie_word_embeddings": True},
        "LlamaForCausalLM",
        absent=TIED,
    ),
    "mistralai/Mistral-7B-v0.1": Checkpoint(
        LLAMA_LIKE | {"model_type": "mistral", "sliding_window": 3}, "MistralForCausalLM"
    ),
    "mistralai/Mistral-Nemo-Base-2407": Checkpoint(
        LLAMA_LIKE | {"model_type": "mistral", "attention_dropout": 0.0, "head_dim": 8, "sliding_window": None},
        "MistralForCausalLM",
    ),
    "Qwen/Qwen2.5-0.5B": Checkpoint(QWEN_LIKE | {"use_mrope": False}, "Qwen2ForCausalLM", absent=TIED),
    "Qwen/Qwen3-0.6B": Checkpoint(
        QWEN_LIKE
        | {"model_type": "qwen3", "attention_bias": False, "head_dim": 8, "rope_scaling": None, "sliding_window": None},
        "Qwen3ForCausalLM",
    ),
    "a classifier made of Qwen3": Checkpoint(
        QWEN_LIKE
        | {"model_type": "qwen3", "head_dim": 8, "pad_token_id": 0, "layer_types": ["full_attention"] * 2}
        | {"id2label": {"0": "yes"}, "label2id": {"yes": 0}},
        "Qwen3ForSequenceClassification",
    ),
    "google/gemma-2b": Checkpoint(
        GEMMA_LIKE | {"model_type": "gemma", "hidden_act": "gelu", "hidden_activation": None},
        "GemmaForCausalLM",
        absent=TIED,
    ),
    "google/gemma-2-2b": Checkpoint(GEMMA2_LIKE, "Gemma2ForCausalLM", absent=TIED),
    "google/gemma-2-9b": Checkpoint(GEMMA2_LIKE | {"sliding_window_size": 3}, "Gemma2ForCausalLM", absent=TIED),
    "google/gemma-3-1b-it": Checkpoint(
        GEMMA2_LIKE
        | {"model_type": "gemma3_text", "attn_logit_softcapping": None, "final_logit_softcapping": None}
        | {"rope_local_base_freq": 10000, "rope_scaling": None, "rope_theta": 1000000, "sliding_window_pattern": 2},
        "Gemma3ForCausalLM",
        absent=TIED,
    ),
    "google/gemma-3-270m": Checkpoint(
        GEMMA2_LIKE
        | {"model_type": "gemma3_text", "attn_logit_softcapping": None, "final_logit_softcapping": None}
        | {"_sliding_window_pattern": 6, "layer_types": ["sliding_attention", "full_attention"]}
        | {"rope_local_base_freq": 10000.0, "rope_theta": 1000000.0, "use_bidirectional_attention": False},
        "Gemma3ForCausalLM",
        absent=TIED,
    ),
    "microsoft/Phi-3-mini-4k-instruct": Checkpoint(PHI3_LIKE, "Phi3ForCausalLM"),
    "microsoft/phi-4": Checkpoint(PHI3_LIKE | {"num_key_value_heads": 1, "sliding_window": None}, "Phi3ForCausalLM"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_of_the_hub_give_the_references_numbers(name: str, tmp_path: Path) -> None:
    checkpoint = CHECKPOINTS[name]
    reference = store(checkpoint, tmp_path)
    pretrained = read_pretrained(tmp_path)
    model = pretrained.load_model(dtype=torch.float64)
    rows = [torch.tensor([[4, 9, 7, 11, 13, 8, 12, 3]]), torch.tensor([[8, 5]])]
    states = hidden_states(model, rows, rows, left=False)
    expected = partial(reference_outputs, reference, rows, rows)("logits")
    with torch.no_grad():
        if pretrained.has_head:
            head = pretrained.load_head(dtype=torch.float64)
            assert largest_error([head(state[None])[0] for state in states], expected) <= TOLERANCE
            assert pretrained.labels == ("yes",)
        else:
            assert largest_error([model.logits(state) for state in states], expected) <= TOLERANCE
    assert set(checkpoint.extra) == {note.partition(":")[0] for note in pretrained.notes}


LONGROPE = {"short_factor": [1.0] * 3, "long_factor": [2.0] * 3}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("openai-community/gpt2", {"add_cross_attention": True}, "add_cross_attention is True"),
    ("openai-community/gpt2", {"n_head": 5}, "n_head is 5, which does not divide"),
    ("openai-community/gpt2", {"activation_function": "gelu_python"}, "activation_function is 'gelu_python'"),
    ("EleutherAI/pythia-70m", {"num_attention_heads": 5}, "num_attention_heads is 5, which does not divide"),
    ("EleutherAI/pythia-70m", {"rope_theta": 500}, "rope_theta is 500: it is not rotary_emb_base"),
    ("EleutherAI/pythia-70m", {"is_decoder": True}, "is_decoder is True"),
    ("meta-llama/Llama-3.2-1B", {"rope_scaling": {"rope_type": "longrope", **LONGROPE}}, "rope_type is 'longrope'"),
    ("mistralai/Mistral-7B-v0.1", {"layer_types": ["full_attention"] * 2}, "layer_types is a key that nobody reads"),
    ("Qwen/Qwen2.5-0.5B", {"use_mrope": True}, "use_mrope is True: positions of pictures are not supported"),
    ("Qwen/Qwen2.5-0.5B", {"layer_types": ["full_attention"]}, "layer_types has 1 entries, and num_hidden_layers is 2"),
    (
        "Qwen/Qwen2.5-0.5B",
        {"layer_types": ["full_attention", "linear_attention"]},
        "layer_types has 'linear_attention'",
    ),
    ("Qwen/Qwen3-0.6B", {"layer_types": ["sliding_attention"] * 2}, "layer_types has 'sliding_attention', and here"),
    ("google/gemma-2b", {"hidden_activation": "relu"}, "hidden_activation is 'relu'"),
    ("google/gemma-2b", {"use_bidirectional_attention": True}, "use_bidirectional_attention is True"),
    ("google/gemma-2-2b", {"use_bidirectional_attention": True}, "use_bidirectional_attention is True"),
    ("google/gemma-2-2b", {"sliding_window": None}, "layer_types has 'sliding_attention', and here"),
    ("google/gemma-3-270m", {"use_bidirectional_attention": True}, "use_bidirectional_attention is True"),
    ("google/gemma-3-1b-it", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0"),
    ("microsoft/Phi-3-mini-4k-instruct", {"attention_bias": True}, "attention_bias is True: the family has no biases"),
    ("microsoft/Phi-3-mini-4k-instruct", {"rope_scaling": {"type": "su", **LONGROPE}}, "rope_type is 'su'"),
    ("microsoft/phi-4", {"rope_scaling": {"type": "longrope", **LONGROPE}}, "rope_type is 'longrope'"),
]


@pytest.mark.parametrize(("name", "changes", "message"), REFUSED, ids=[f"{name}-{keys}" for name, keys, _ in REFUSED])
def test_what_would_be_another_model_is_refused_by_name(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config = {**CHECKPOINTS[name].config, **changes}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({"read.afterwards": torch.zeros(1)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        read_pretrained(tmp_path)
