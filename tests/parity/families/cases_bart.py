"""BART and the families that keep its config: mBART, PEGASUS, M2M-100, Marian."""

from __future__ import annotations

from typing import Any

from tests.parity.families.harness import Case

PLAIN: dict[str, Any] = {
    "vocab_size": 53,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 17,
    "pad_token_id": 1,
}
OPTIONS: dict[str, Any] = {
    "vocab_size": 31,
    "d_model": 30,
    "encoder_layers": 3,
    "decoder_layers": 1,
    "encoder_attention_heads": 5,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 17,
    "decoder_ffn_dim": 29,
    "max_position_embeddings": 12,
    "activation_function": "swish",
    "dropout": 0.2,
    "attention_dropout": 0.3,
    "activation_dropout": 0.4,
    "pad_token_id": 5,
}


def both(model_type: str, *, scale_embedding: bool = True, **options: Any) -> tuple[Case, ...]:
    return (
        Case(model_type, PLAIN),
        Case(model_type, {**OPTIONS, "scale_embedding": scale_embedding, **options}, name="options"),
    )


CASES = (
    *both("marian", decoder_start_token_id=5),
    Case(
        "marian",
        {**PLAIN, "share_encoder_decoder_embeddings": False, "decoder_vocab_size": 61, "decoder_start_token_id": 1},
        name="vocabularies",
    ),
    *both("bart", classifier_dropout=0.1, decoder_start_token_id=3),
    *both("mbart", classifier_dropout=0.1),
    *both("pegasus"),
    *both("m2m_100", scale_embedding=False),
)
