"""ALBERT: one group of layers and several, token vectors narrower and as wide as the model."""

from __future__ import annotations

from tests.parity.families.harness import Case

SHAPE = {
    "vocab_size": 53,
    "embedding_size": 10,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 17,
}

CASES = (
    Case("albert", SHAPE),
    Case("albert", {**SHAPE, "embedding_size": 24, "num_hidden_layers": 5, "num_hidden_groups": 2}, name="as_wide"),
    Case(
        "albert",
        {
            **SHAPE,
            "vocab_size": 31,
            "num_hidden_layers": 4,
            "num_hidden_groups": 3,
            "type_vocab_size": 3,
            "hidden_act": "relu",
            "layer_norm_eps": 1e-3,
            "tie_word_embeddings": False,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.3,
            "classifier_dropout_prob": 0.4,
        },
        name="options",
    ),
)
