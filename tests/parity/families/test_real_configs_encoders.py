"""Configs with the keys that encoders on the Hub really have, and weights as earlier code named them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity.families.harness import TOLERANCE, hidden_states, largest_error, reference_outputs
from tests.parity.families.hub import Checkpoint, store

from heedful.errors import CheckpointError
from heedful.families import ConfigReader, find_family, read_pretrained
from heedful.model import RotarySpec, TransformerSpec

BERT_LIKE: dict[str, Any] = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 32,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 16,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 31,
}
ROBERTA_LIKE = BERT_LIKE | {
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-5,
    "output_past": True,
    "pad_token_id": 1,
    "type_vocab_size": 1,
}
DISTILBERT_LIKE: dict[str, Any] = {
    "activation": "gelu",
    "attention_dropout": 0.1,
    "dim": 24,
    "dropout": 0.1,
    "hidden_dim": 32,
    "initializer_range": 0.02,
    "max_position_embeddings": 16,
    "model_type": "distilbert",
    "n_heads": 4,
    "n_layers": 2,
    "output_past": True,
    "pad_token_id": 0,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True,
    "vocab_size": 31,
}
SUMMARY = {"summary_last_dropout": 0.1, "summary_type": "first", "summary_use_proj": True}
ALBERT_LIKE = BERT_LIKE | {
    "classifier_dropout_prob": 0.1,
    "down_scale_factor": 1,
    "embedding_size": 12,
    "gap_size": 0,
    "hidden_act": "gelu_new",
    "inner_group_num": 1,
    "layers_to_keep": [],
    "model_type": "albert",
    "net_structure_type": 0,
    "num_hidden_groups": 1,
    "num_memory_blocks": 0,
}
DEBERTA_LIKE = BERT_LIKE | {
    "layer_norm_eps": 1e-7,
    "max_relative_positions": -1,
    "model_type": "deberta-v2",
    "norm_rel_ebd": "layer_norm",
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
    "position_buckets": 6,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
}
MODERNBERT_LIKE: dict[str, Any] = {
    **dict.fromkeys(("attention_dropout", "classifier_dropout", "embedding_dropout", "mlp_dropout"), 0.0),
    **dict.fromkeys(("attention_bias", "classifier_bias", "mlp_bias", "norm_bias"), False),
    **dict.fromkeys(("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id", "pad_token_id"), 1),
    "classifier_activation": "gelu",
    "classifier_pooling": "mean",
    "decoder_bias": True,
    "deterministic_flash_attn": False,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "gradient_checkpointing": False,
    "hidden_activation": "gelu",
    "hidden_size": 24,
    "initializer_cutoff_factor": 2.0,
    "initializer_range": 0.02,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-05,
    "local_attention": 4,
    "local_rope_theta": 10000.0,
    "max_position_embeddings": 64,
    "model_type": "modernbert",
    "norm_eps": 1e-05,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "position_embedding_type": "absolute",
    "reference_compile": None,
    "repad_logits_with_grad": False,
    "sparse_pred_ignore_index": -100,
    "sparse_prediction": False,
    "tie_word_embeddings": True,
    "vocab_size": 31,
}
LABELS = {"id2label": {"0": "NEGATIVE", "1": "POSITIVE"}, "label2id": {"NEGATIVE": 0, "POSITIVE": 1}}


CHECKPOINTS = {
    "google-bert/bert-base-multilingual-cased": Checkpoint(
        BERT_LIKE
        | {"model_type": "bert", "directionality": "bidi", "pooler_fc_size": 24, "pooler_num_attention_heads": 4}
        | {"pooler_num_fc_layers": 3, "pooler_size_per_head": 6, "pooler_type": "first_token_transform"},
        "BertForMaskedLM",
        renamed={"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"},
        absent=("cls.predictions.decoder.bias",),
        extra={"cls.seq_relationship.weight": (2, 24), "cls.seq_relationship.bias": (2,)},
    ),
    "distilbert/distilbert-base-uncased": Checkpoint(
        DISTILBERT_LIKE, "DistilBertForMaskedLM", extra={"distilbert.embeddings.position_ids": (1, 16)}
    ),
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": Checkpoint(
        DISTILBERT_LIKE | LABELS | {"finetuning_task": "sst-2", "tie_weights_": True},
        "DistilBertForSequenceClassification",
    ),
    "FacebookAI/roberta-base": Checkpoint(
        ROBERTA_LIKE | {"model_type": "roberta"},
        "RobertaForMaskedLM",
        absent=("lm_head.decoder.bias",),
        extra={
            "roberta.embeddings.position_ids": (1, 16),
            "roberta.pooler.dense.weight": (24, 24),
            "roberta.pooler.dense.bias": (24,),
        },
    ),
    "cardiffnlp/twitter-roberta-base-sentiment": Checkpoint(
        ROBERTA_LIKE | LABELS | {"model_type": "roberta", "gradient_checkpointing": False, "classifier_dropout": None},
        "RobertaForSequenceClassification",
        extra={"roberta.pooler.dense.weight": (24, 24), "roberta.pooler.dense.bias": (24,)},
    ),
    "FacebookAI/xlm-roberta-base": Checkpoint(
        ROBERTA_LIKE | {"model_type": "xlm-roberta", "position_embedding_type": "absolute", "use_cache": True},
        "XLMRobertaForMaskedLM",
        absent=("lm_head.decoder.bias",),
    ),
    "almanach/camembert-base": Checkpoint(
        ROBERTA_LIKE | {"model_type": "camembert", "eos_token_id": 6, "bos_token_id": 5}, "CamembertForMaskedLM"
    ),
    "google/electra-small-discriminator": Checkpoint(
        BERT_LIKE
        | SUMMARY
        | {"model_type": "electra", "embedding_size": 12, "summary_activation": "gelu"}
        | {"position_embedding_type": "absolute"},
        "ElectraForPreTraining",
    ),
    "google/electra-small-generator": Checkpoint(
        BERT_LIKE | SUMMARY | {"model_type": "electra", "embedding_size": 12}, "ElectraForMaskedLM"
    ),
    "albert/albert-base-v2": Checkpoint(
        ALBERT_LIKE,
        "AlbertForMaskedLM",
        extra={
            "albert.pooler.weight": (24, 24),
            "albert.pooler.bias": (24,),
            "sop_classifier.classifier.weight": (2, 24),
            "sop_classifier.classifier.bias": (2,),
        },
    ),
    "microsoft/mpnet-base": Checkpoint(
        {key: value for key, value in ROBERTA_LIKE.items() if key not in ("type_vocab_size", "output_past")}
        | {"model_type": "mpnet", "relative_attention_num_buckets": 32, "gradient_checkpointing": False},
        "MPNetForMaskedLM",
        absent=("lm_head.decoder.bias",),
        extra={"mpnet.pooler.dense.weight": (24, 24), "mpnet.pooler.dense.bias": (24,)},
    ),
    "microsoft/deberta-v3-base": Checkpoint(
        DEBERTA_LIKE,
        "DebertaV2ForMaskedLM",
        renamed={"cls.predictions.transform": "lm_predictions.lm_head", "cls.predictions": "lm_predictions.lm_head"},
        absent=("cls.predictions.decoder.weight", "cls.predictions.decoder.bias"),
        extra={
            "deberta.embeddings.position_embeddings.weight": (16, 24),
            "mask_predictions.dense.weight": (24, 24),
            "mask_predictions.LayerNorm.weight": (24,),
            "mask_predictions.classifier.bias": (1,),
        },
        names_architecture=False,
    ),
    "MoritzLaurer/DeBERTa-v3-base-mnli": Checkpoint(
        DEBERTA_LIKE
        | LABELS
        | SUMMARY
        | {"pooler_dropout": 0, "pooler_hidden_act": "gelu", "pooler_hidden_size": 24, "summary_activation": "tanh"},
        "DebertaV2ForSequenceClassification",
    ),
    "answerdotai/ModernBERT-base": Checkpoint(MODERNBERT_LIKE, "ModernBertForMaskedLM"),
    "a classifier made of it": Checkpoint(MODERNBERT_LIKE | LABELS, "ModernBertForSequenceClassification"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_of_the_hub_give_the_references_numbers(name: str, tmp_path: Path) -> None:
    checkpoint = CHECKPOINTS[name]
    reference = store(checkpoint, tmp_path)
    pretrained = read_pretrained(tmp_path)
    model = pretrained.load_model(dtype=torch.float64)
    rows = [torch.tensor([[4, 9, 7, 11, 13, 8, 12, 3]]), torch.tensor([[8, 5]])]
    states = hidden_states(model, rows, rows, left=False)
    expected = partial(reference_outputs, reference, rows, rows)
    if "MaskedLM" in checkpoint.architecture:
        actual = [model.logits(state) for state in states]
        assert largest_error([logits.detach() for logits in actual], expected("logits")) <= TOLERANCE
    elif "Classification" in checkpoint.architecture:
        assert pretrained.labels == ("NEGATIVE", "POSITIVE")
        head = pretrained.load_head(dtype=torch.float64)
        actual = [head(state[None])[0] for state in states]
        assert largest_error([logits.detach() for logits in actual], expected("logits")) <= TOLERANCE
    else:
        assert pretrained.spec.output is None and not pretrained.has_head
        body = reference_outputs(reference.base_model, rows, rows, "last_hidden_state")
        assert largest_error(states, body) <= TOLERANCE
    kept = {name for name in checkpoint.extra if "albert.pooler" in name}  # a classifier's, if one is made of it
    assert set(checkpoint.extra) - kept <= {note.partition(":")[0] for note in pretrained.notes}


RELATIVE = {"position_embedding_type": "relative_key"}
CAUSAL = {"is_decoder": True}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("google-bert/bert-base-multilingual-cased", RELATIVE, "position_embedding_type is 'relative_key'"),
    ("google-bert/bert-base-multilingual-cased", CAUSAL, "is_decoder is True"),
    (
        "google-bert/bert-base-multilingual-cased",
        {"num_attention_heads": 5},
        "is 5, which does not divide the model's width of 24",
    ),
    ("FacebookAI/roberta-base", RELATIVE, "position_embedding_type is 'relative_key'"),
    ("FacebookAI/roberta-base", CAUSAL, "is_decoder is True"),
    ("FacebookAI/roberta-base", {"max_position_embeddings": 2}, "max_position_embeddings is 2: the first position is"),
    ("distilbert/distilbert-base-uncased", {"n_heads": 5}, "is 5, which does not divide the model's width of 24"),
    ("distilbert/distilbert-base-uncased", {"tie_weights_": False}, "tie_weights_ is False"),
    ("google/electra-small-generator", RELATIVE, "position_embedding_type is 'relative_key'"),
    ("google/electra-small-generator", {"embedding_size": 2**20}, "embedding_width: .* less than or equal to 65536"),
    ("albert/albert-base-v2", RELATIVE, "position_embedding_type is 'relative_key'"),
    ("albert/albert-base-v2", {"inner_group_num": 2}, "inner_group_num is 2: groups of several layers"),
    ("albert/albert-base-v2", {"num_hidden_groups": 3}, "num_hidden_groups is 3, more than the 2"),
    ("albert/albert-base-v2", {"down_scale_factor": 2}, "down_scale_factor is 2"),
    ("albert/albert-base-v2", {"gap_size": 1}, "gap_size is 1"),
    ("albert/albert-base-v2", {"net_structure_type": 1}, "net_structure_type is 1"),
    ("albert/albert-base-v2", {"num_memory_blocks": 1}, "num_memory_blocks is 1"),
    ("albert/albert-base-v2", {"layers_to_keep": [0]}, r"layers_to_keep is \[0\]"),
    ("microsoft/mpnet-base", {"relative_attention_num_buckets": 64}, "relative_attention_num_buckets is 64"),
    ("microsoft/deberta-v3-base", {"conv_kernel_size": 3, "conv_act": "gelu"}, "conv_kernel_size is 3: a convolution"),
    ("microsoft/deberta-v3-base", {"embedding_size": 12}, "embedding_size is 12"),
    ("microsoft/deberta-v3-base", {"attention_head_size": 8}, "attention_head_size is 8"),
    ("microsoft/deberta-v3-base", {"pooler_hidden_size": 12}, "pooler_hidden_size is 12"),
    ("microsoft/deberta-v3-base", {"legacy": False}, "legacy is False"),
    ("microsoft/deberta-v3-base", {"pos_att_type": "p2p|c2p"}, r"pos_att_type is \['p2p', 'c2p'\]"),
    ("microsoft/deberta-v3-base", {"norm_rel_ebd": "batch_norm"}, "norm_rel_ebd is 'batch_norm'"),
    ("microsoft/deberta-v3-base", {"position_buckets": 30}, "num_buckets: .*30 need a max_distance above 16, not 16"),
    ("answerdotai/ModernBERT-base", {"layer_types": ["full_attention"]}, "must name .* for 4 layers"),
    ("answerdotai/ModernBERT-base", {"layer_types": ["full_attention", "chunked_attention"] * 2}, "must name"),
    ("answerdotai/ModernBERT-base", {"classifier_pooling": "max"}, "classifier_pooling is 'max'"),
    ("answerdotai/ModernBERT-base", {"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "longrope"),
]


@pytest.mark.parametrize(("name", "changes", "message"), REFUSED, ids=[f"{name}-{keys}" for name, keys, _ in REFUSED])
def test_what_would_be_another_model_is_refused_by_name(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    store(CHECKPOINTS[name], tmp_path, changes)
    with pytest.raises(CheckpointError, match=message):
        read_pretrained(tmp_path)


def rotary(config: Mapping[str, Any]) -> list[RotarySpec | None]:
    """Of each layer of a ModernBERT."""
    reader = ConfigReader(config)
    spec: TransformerSpec = find_family(config, name="a test").spec(reader)
    assert not reader.faults and spec.encoder is not None
    attentions = [layer.self_attention for layer in spec.encoder.layers]
    return [None if attention is None else attention.rotary for attention in attentions]


def test_modernberts_rotary_bases_are_read_under_old_names_and_new_ones() -> None:
    old = MODERNBERT_LIKE | {"global_rope_theta": 700.0, "local_rope_theta": 30.0}
    new = {key: value for key, value in MODERNBERT_LIKE.items() if not key.endswith("rope_theta")} | {
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 700.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
        }
    }
    far, near = RotarySpec(base=700.0, max_positions=64), RotarySpec(base=30.0, max_positions=64)
    assert rotary(old) == rotary(new) == [far, near, near, far]


@pytest.mark.parametrize("given", ["p2c|c2p", " C2P | P2C", ["c2p", "p2c"]])
def test_kinds_of_scores_are_listed_or_stand_between_bars(given: str | list[str]) -> None:
    config = DEBERTA_LIKE | {"pos_att_type": given}
    assert find_family(config, name="a test").spec(ConfigReader(config)) == find_family(config, name="a test").spec(
        ConfigReader(DEBERTA_LIKE)
    )
