"""ELECTRA: token vectors narrower than the model, wider, and as wide."""

from __future__ import annotations

from tests.parity.families.harness import Case

SHAPE = {
    "vocab_size": 53,
    "embedding_size": 10,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 17,
}

CASES = (
    Case("electra", SHAPE),
    Case("electra", {**SHAPE, "embedding_size": 24}, name="as_wide"),
    Case(
        "electra",
        {
            **SHAPE,
            "vocab_size": 31,
            "embedding_size": 32,
            "num_hidden_layers": 1,
            "type_vocab_size": 3,
            "hidden_act": "relu",
            "layer_norm_eps": 1e-3,
            "tie_word_embeddings": False,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.3,
            "classifier_dropout": 0.4,
        },
        name="options",
    ),
)
