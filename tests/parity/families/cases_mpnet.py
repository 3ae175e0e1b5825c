"""MPNet."""

from __future__ import annotations

from tests.parity.families.harness import Case

CASES = (
    Case(
        "mpnet",
        {
            "vocab_size": 53,
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 40,
            "max_position_embeddings": 40,
        },
    ),
    Case(
        "mpnet",
        {
            "vocab_size": 31,
            "hidden_size": 18,
            "num_hidden_layers": 1,
            "num_attention_heads": 3,
            "intermediate_size": 17,
            "max_position_embeddings": 12,
            "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-3,
            "tie_word_embeddings": False,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.3,
        },
        name="options",
    ),
)
