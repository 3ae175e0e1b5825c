"""Gemma, Gemma 2 and Gemma 3."""

from __future__ import annotations

from typing import Any

from tests.parity.families.cases_llama import SHAPE
from tests.parity.families.harness import Case

HEADS = {"head_dim": 6}
OPTIONS: dict[str, Any] = {
    **SHAPE,
    "vocab_size": 37,
    "num_key_value_heads": 1,
    "head_dim": 10,
    "attention_bias": True,
    "rms_norm_eps": 1e-2,
    "tie_word_embeddings": False,
    "attention_dropout": 0.1,
}
DISTANCES = {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}
WINDOWS: dict[str, Any] = {
    "hidden_activation": "relu",
    "query_pre_attn_scalar": 5,
    "sliding_window": 3,
    "layer_types": ["full_attention", "sliding_attention", "full_attention"],
}

CASES = (
    Case("gemma", {**SHAPE, **HEADS}),
    Case("gemma", {**SHAPE, **HEADS, "hidden_act": "gelu"}, name="gelu", architectures=("GemmaModel",)),
    Case("gemma", {**OPTIONS, **DISTANCES, "hidden_act": "silu"}, name="options"),
    Case("gemma2", {**SHAPE, **HEADS, "sliding_window": 4}),
    Case(
        "gemma2",
        {**OPTIONS, **DISTANCES, **WINDOWS, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
        name="options",
    ),
    Case(
        "gemma2",
        {**SHAPE, **HEADS, "attn_logit_softcapping": None, "final_logit_softcapping": None},
        name="uncapped",
    ),
    Case("gemma3_text", {**SHAPE, **HEADS, "sliding_window": 3}),
    Case(
        "gemma3_text",
        {
            **OPTIONS,
            **WINDOWS,
            "final_logit_softcapping": 3.0,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
        },
        name="options",
    ),
    Case(
        "gemma3_text",
        {
            **SHAPE,
            **HEADS,
            "sliding_window": 3,
            "sliding_window_pattern": 2,
            "rope_theta": 300.0,
            "rope_local_base_freq": 30.0,
            "rope_scaling": {"rope_type": "linear", "factor": 4.0},
        },
        name="earlier_keys",
        architectures=("Gemma3TextModel",),
    ),
)
