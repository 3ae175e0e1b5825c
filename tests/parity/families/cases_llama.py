"""LLaMA."""

from __future__ import annotations

from typing import Any

from tests.parity.families.harness import Case

SHAPE: dict[str, Any] = {
    "vocab_size": 53,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
}
PADDED = {"pad_token_id": 0}
SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 3.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8},
    "yarn_options": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 8,
        "beta_fast": 3.0,
        "beta_slow": 0.5,
        "mscale": 0.7,
        "mscale_all_dim": 0.3,
    },
    "yarn_attention": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 8,
        "attention_factor": 0.5,
        "truncate": False,
    },
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8,
    },
}

CASES = (
    Case("llama", SHAPE, classifier_options=PADDED),
    Case(
        "llama",
        {
            **SHAPE,
            "vocab_size": 37,
            "num_key_value_heads": 1,
            "head_dim": 10,
            "attention_bias": True,
            "mlp_bias": True,
            "hidden_act": "gelu_pytorch_tanh",
            "rms_norm_eps": 1e-2,
            "tie_word_embeddings": True,
            "attention_dropout": 0.1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        },
        name="options",
        classifier_options=PADDED,
    ),
    *(
        Case(
            "llama",
            {**SHAPE, "head_dim": 16, "rope_parameters": {"rope_theta": 100.0, **scaling}},
            name=name,
            architectures=("LlamaModel",),
        )
        for name, scaling in SCALINGS.items()
    ),
)
