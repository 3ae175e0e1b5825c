"""DeBERTa: as v3 has it, as v2's paper, each kind of score alone, and without relative positions."""

from __future__ import annotations

from typing import Any

from tests.parity.families.harness import Case

SHAPE: dict[str, Any] = {
    "vocab_size": 53,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 17,
}
V3 = {
    **SHAPE,
    "relative_attention": True,
    "position_buckets": 4,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
}

CASES = (
    Case("deberta-v2", SHAPE),
    Case("deberta-v2", V3, name="v3"),
    Case(
        "deberta-v2",
        {
            **V3,
            "vocab_size": 31,
            "num_hidden_layers": 1,
            "share_att_key": False,
            "norm_rel_ebd": "none",
            "position_biased_input": True,
            "max_relative_positions": 6,
            "type_vocab_size": 3,
            "hidden_act": "relu",
            "layer_norm_eps": 1e-3,
            "tie_word_embeddings": False,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.3,
            "cls_dropout": 0.4,
            "pooler_hidden_act": "tanh",
            "pooler_hidden_size": 24,
        },
        name="options",
    ),
    *(
        Case(
            "deberta-v2",
            {**V3, "position_buckets": buckets, "share_att_key": False, "pos_att_type": kinds},
            name=f"{name}_{kinds[0] if kinds else 'neither'}",
            architectures=("DebertaV2Model",),
        )
        for name, buckets in (("distances", -1), ("odd_buckets", 5))
        for kinds in (["c2p"], ["p2c"], [])
    ),
    Case(
        "deberta-v2",
        {**SHAPE, "pos_att_type": ["c2p", "p2c"]},
        name="scale_without_positions",
        architectures=("DebertaV2Model",),
    ),
)
