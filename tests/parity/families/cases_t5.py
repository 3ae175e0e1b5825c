"""T5 and mT5."""

from __future__ import annotations

from typing import Any

from tests.parity.families.harness import Case

PLAIN: dict[str, Any] = {
    "vocab_size": 53,
    "d_model": 24,
    "d_kv": 6,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 4,
}
OPTIONS: dict[str, Any] = {
    "vocab_size": 31,
    "d_model": 20,
    "d_kv": 7,
    "d_ff": 17,
    "num_layers": 3,
    "num_decoder_layers": 1,
    "num_heads": 3,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "dropout_rate": 0.2,
    "layer_norm_epsilon": 1e-3,
    "classifier_dropout": 0.3,
}
STARTED = {"decoder_start_token_id": 0}
SILU = {"dense_act_fn": "silu"}

CASES = (
    Case("t5", PLAIN, classifier_options=STARTED),
    Case(
        "t5",
        {**OPTIONS, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        name="1.1",
        classifier_options=STARTED,
    ),
    Case("t5", {**PLAIN, "is_gated_act": True, **SILU}, name="overridden", architectures=("T5Model",)),
    Case("t5", {**PLAIN, "feed_forward_proj": "gelu"}, name="gelu", architectures=("T5Model",)),
    Case("mt5", PLAIN, classifier_options=STARTED),
    Case("mt5", {**OPTIONS, "feed_forward_proj": "relu"}, name="options", classifier_options=STARTED),
    Case(
        "mt5", {**PLAIN, "dense_act_fn": "silu", "is_gated_act": False}, name="overridden", architectures=("MT5Model",)
    ),
)
