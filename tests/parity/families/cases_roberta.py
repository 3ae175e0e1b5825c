"""RoBERTa, XLM-R and CamemBERT."""

from __future__ import annotations

from tests.parity.families.harness import Case

CASES = tuple(
    case
    for model_type in ("roberta", "xlm-roberta", "camembert")
    for case in (
        Case(
            model_type,
            {
                "vocab_size": 53,
                "hidden_size": 24,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 40,
                "max_position_embeddings": 19,
                "type_vocab_size": 1,
                "layer_norm_eps": 1e-5,
            },
        ),
        Case(
            model_type,
            {
                "vocab_size": 31,
                "hidden_size": 18,
                "num_hidden_layers": 1,
                "num_attention_heads": 3,
                "intermediate_size": 17,
                "max_position_embeddings": 14,
                "hidden_act": "relu",
                "pad_token_id": 4,
                "tie_word_embeddings": False,
                "hidden_dropout_prob": 0.2,
                "attention_probs_dropout_prob": 0.3,
                "classifier_dropout": 0.4,
            },
            name="options",
        ),
    )
)
