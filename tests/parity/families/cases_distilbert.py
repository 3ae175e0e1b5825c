"""DistilBERT."""

from __future__ import annotations

from tests.parity.families.harness import Case

CASES = (
    Case(
        "distilbert",
        {
            "vocab_size": 53,
            "dim": 24,
            "n_layers": 2,
            "n_heads": 4,
            "hidden_dim": 40,
            "max_position_embeddings": 17,
        },
    ),
    Case(
        "distilbert",
        {
            "vocab_size": 31,
            "dim": 18,
            "n_layers": 1,
            "n_heads": 3,
            "hidden_dim": 17,
            "max_position_embeddings": 9,
            "activation": "relu",
            "sinusoidal_pos_embds": True,
            "tie_word_embeddings": False,
            "dropout": 0.2,
            "attention_dropout": 0.3,
            "seq_classif_dropout": 0.4,
        },
        name="options",
    ),
)
