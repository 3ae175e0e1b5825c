"""Checkpoints as the Hub has them: configs with the keys they really have, weights as earlier code stored them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tests.parity.families.reference import make
from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A config, and what sets its stored weights apart from those that upstream stores now."""

    config: Mapping[str, Any]
    architecture: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Parts of the names that upstream stores now -> what stands there instead."""
    absent: tuple[str, ...] = ()
    extra: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Tensors that have no place in upstream's class: their shapes."""
    names_architecture: bool = True


def store(checkpoint: Checkpoint, folder: Path, changes: Mapping[str, Any] | None = None) -> Any:
    """Write a folder as older code did, and return its reference; ``changes`` are of the written config alone."""
    config = {key: value for key, value in checkpoint.config.items() if key != "model_type"}
    reference = make(
        checkpoint.architecture, transformers.AutoConfig.for_model(checkpoint.config["model_type"], **config)
    )
    architectures = {"architectures": [checkpoint.architecture]} if checkpoint.names_architecture else {}
    written = {**checkpoint.config, **architectures, **(changes or {})}
    (folder / "config.json").write_text(json.dumps(written), encoding="utf-8")
    tensors: dict[str, Tensor] = {}
    for name, tensor in reference.state_dict().items():
        if name in checkpoint.absent:
            continue
        old = next((name.replace(new, old) for new, old in checkpoint.renamed.items() if new in name), name)
        tensors[old] = tensor.clone()
    tensors |= {name: torch.ones(shape) for name, shape in checkpoint.extra.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return reference
