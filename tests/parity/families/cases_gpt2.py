"""GPT-2."""

from __future__ import annotations

from tests.parity.families.harness import Case

CASES = (
    Case("gpt2", {"vocab_size": 53, "n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 17}),
    Case(
        "gpt2",
        {
            "vocab_size": 31,
            "n_embd": 30,
            "n_layer": 3,
            "n_head": 3,
            "n_positions": 9,
            "n_inner": 17,
            "activation_function": "relu",
            "layer_norm_epsilon": 1e-3,
            "scale_attn_weights": False,
            "scale_attn_by_inverse_layer_idx": True,
            "reorder_and_upcast_attn": True,
            "tie_word_embeddings": False,
            "resid_pdrop": 0.2,
            "embd_pdrop": 0.3,
            "attn_pdrop": 0.4,
        },
        name="options",
    ),
)
