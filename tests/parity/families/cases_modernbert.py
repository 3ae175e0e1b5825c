"""ModernBERT: layers that see near and far, in the pattern of old and of new configs; every switch of its biases."""

from __future__ import annotations

from typing import Any

from tests.parity.families.harness import Case

SHAPE: dict[str, Any] = {
    "vocab_size": 53,
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 32,
    "local_attention": 4,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 1),
}

CASES = (
    Case("modernbert", SHAPE),
    Case(
        "modernbert",
        {
            **SHAPE,
            "vocab_size": 31,
            "num_hidden_layers": 3,
            "global_attn_every_n_layers": 2,
            "global_rope_theta": 500.0,
            "local_rope_theta": 100.0,
            "local_attention": 7,
            "hidden_activation": "silu",
            "norm_eps": 1e-3,
            "norm_bias": True,
            "attention_bias": True,
            "mlp_bias": True,
            "classifier_bias": True,
            "classifier_pooling": "mean",
            "classifier_activation": "relu",
            "tie_word_embeddings": False,
            "attention_dropout": 0.1,
            "embedding_dropout": 0.2,
            "mlp_dropout": 0.3,
            "classifier_dropout": 0.4,
        },
        name="options",
    ),
    Case(
        "modernbert",
        {
            **SHAPE,
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "decoder_bias": False,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 300.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 40.0},
            },
        },
        name="types",
    ),
)
