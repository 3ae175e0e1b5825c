"""Qwen2 and Qwen3."""

from __future__ import annotations

from typing import Any

from tests.parity.families.cases_llama import SHAPE
from tests.parity.families.harness import Case

OPTIONS: dict[str, Any] = {
    **SHAPE,
    "vocab_size": 37,
    "num_key_value_heads": 1,
    "hidden_act": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-2,
    "tie_word_embeddings": True,
    "attention_dropout": 0.1,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    "use_sliding_window": True,
    "sliding_window": 3,
}

CASES = (
    Case("qwen2", SHAPE),
    Case("qwen2", {**OPTIONS, "max_window_layers": 1}, name="options"),
    Case(
        "qwen2",
        {**OPTIONS, "head_dim": 10, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
        name="layer_types",
    ),
    Case("qwen3", {**SHAPE, "head_dim": 6}),
    Case("qwen3", {**OPTIONS, "head_dim": 10, "attention_bias": True, "max_window_layers": 2}, name="options"),
)
