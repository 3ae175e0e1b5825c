"""Phi-3."""

from __future__ import annotations

from tests.parity.families.cases_llama import SHAPE
from tests.parity.families.harness import Case

PADDED = {"pad_token_id": 0}

CASES = (
    Case("phi3", {**SHAPE, **PADDED}),
    Case(
        "phi3",
        {
            **SHAPE,
            **PADDED,
            "vocab_size": 37,
            "head_dim": 14,
            "num_key_value_heads": 1,
            "sliding_window": 3,
            "hidden_act": "gelu_pytorch_tanh",
            "rms_norm_eps": 1e-2,
            "tie_word_embeddings": True,
            "attention_dropout": 0.1,
            "resid_pdrop": 0.2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.6},
        },
        name="options",
    ),
)
