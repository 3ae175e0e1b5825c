"""Mistral."""

from __future__ import annotations

from tests.parity.families.cases_llama import SHAPE
from tests.parity.families.harness import Case

CASES = (
    Case("mistral", {**SHAPE, "sliding_window": 3}),
    Case(
        "mistral",
        {
            **SHAPE,
            "vocab_size": 37,
            "num_key_value_heads": 4,
            "head_dim": 10,
            "sliding_window": None,
            "hidden_act": "gelu_pytorch_tanh",
            "rms_norm_eps": 1e-2,
            "tie_word_embeddings": True,
            "attention_dropout": 0.1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        },
        name="options",
    ),
)
