"""Small foreign checkpoints, written by hand: no reference is needed for what these tests ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

BERT_CONFIG: dict[str, Any] = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 6,
    "type_vocab_size": 2,
    "id2label": {"0": "no", "1": "yes", "2": "maybe"},
}
LLAMA_CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
}


def bert_tensors(*, labels: int = 3) -> dict[str, Tensor]:
    """All weights of a classifier of :data:`BERT_CONFIG`."""
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (11, 8),
        "bert.embeddings.position_embeddings.weight": (6, 8),
        "bert.embeddings.token_type_embeddings.weight": (2, 8),
        "bert.embeddings.LayerNorm.weight": (8,),
        "bert.embeddings.LayerNorm.bias": (8,),
        "bert.pooler.dense.weight": (8, 8),
        "bert.pooler.dense.bias": (8,),
        "classifier.weight": (labels, 8),
        "classifier.bias": (labels,),
    }
    widths = {"attention.self.query": (8, 8), "attention.self.key": (8, 8), "attention.self.value": (8, 8)}
    widths |= {"attention.output.dense": (8, 8), "intermediate.dense": (12, 8), "output.dense": (8, 12)}
    for layer in range(2):
        for name, shape in widths.items():
            shapes[f"bert.encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"bert.encoder.layer.{layer}.{name}.bias"] = shape[:1]
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            for end in ("weight", "bias"):
                shapes[f"bert.encoder.layer.{layer}.{norm}.{end}"] = (8,)
    return _random(shapes)


def llama_tensors(*, tied: bool) -> dict[str, Tensor]:
    """All weights of a language model of :data:`LLAMA_CONFIG`."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (11, 8), "model.norm.weight": (8,)}
    block = "model.layers.0."
    shapes |= {f"{block}self_attn.{name}_proj.weight": (8, 8) for name in "qkvo"}
    shapes |= {f"{block}mlp.{name}_proj.weight": (12, 8) for name in ("gate", "up")}
    shapes[f"{block}mlp.down_proj.weight"] = (8, 12)
    shapes |= {f"{block}{name}_layernorm.weight": (8,) for name in ("input", "post_attention")}
    if not tied:
        shapes["lm_head.weight"] = (11, 8)
    return _random(shapes)


def _random(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[[Mapping[str, Any], Mapping[str, Tensor]], Path]:
    """Writes a folder of a config and tensors."""

    def write(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(dict(config)), encoding="utf-8")
        save_file(dict(tensors), tmp_path / "model.safetensors", {"format": "pt"})
        return tmp_path

    return write
