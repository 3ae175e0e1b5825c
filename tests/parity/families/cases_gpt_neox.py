"""GPT-NeoX."""

from __future__ import annotations

from tests.parity.families.harness import Case

CASES = (
    Case(
        "gpt_neox",
        {
            "vocab_size": 53,
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 40,
            "max_position_embeddings": 17,
        },
    ),
    Case(
        "gpt_neox",
        {
            "vocab_size": 31,
            "hidden_size": 30,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "intermediate_size": 17,
            "max_position_embeddings": 9,
            "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-3,
            "use_parallel_residual": False,
            "attention_bias": False,
            "tie_word_embeddings": True,
            "hidden_dropout": 0.2,
            "attention_dropout": 0.3,
            "rope_parameters": {"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.6},
        },
        name="options",
    ),
    Case(
        "gpt_neox",
        {
            "vocab_size": 31,
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 8,
            "max_position_embeddings": 9,
            "rotary_pct": 0.5,
            "rotary_emb_base": 500,
            "rope_parameters": {"rope_type": "linear", "factor": 2.0},
        },
        name="linear",
        architectures=("GPTNeoXModel",),
    ),
)
