"""The files of a model folder, and what becomes of them when it is written anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from heedful.errors import CheckpointError
from heedful.files import inside
from heedful.text import Tokenizer

GENERATION_FILE = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
WEIGHT_FILES = (
    "model*.safetensors",
    "model.safetensors.index.json",
    "pytorch_model*.bin",
    "pytorch_model.bin.index.json",
)
TOKENIZER_FILES = (
    "tokenizer.json",
    "target_tokenizer.json",
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.*",
    "merges.txt",
    "*.spm",
    "*.model",
)


@dataclass(frozen=True)
class ConversionOptions:
    """How a model is written."""

    dtype: torch.dtype | None = None
    """Of the weights; as stored unless given."""
    max_shard_bytes: int | None = None
    """Of one weight file; all in one unless given."""
    overwrite: bool = False
    """Whether a model in the destination may be replaced."""


def check_vocabulary(tokenizer: Tokenizer, known: int, folder: Path, *, name: str = "tokenizer") -> None:
    """Refuse a tokenizer whose tokens a model of ``known`` tokens does not know."""
    if tokenizer.vocabulary_size > known:
        raise CheckpointError(
            f"the {name} in {folder} knows {tokenizer.vocabulary_size:,} tokens, and the model {known:,}",
            remedy="Take tokenizer.json and config.json from the same run.",
        )


def cast(tensors: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Numbers with a fraction in another dtype; as they are where none is given."""
    return {
        name: tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def matching_files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files of a folder that have one of the names."""
    return [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]


def copy_files(folder: Path, staging: Path, patterns: Iterable[str]) -> None:
    """Copy files as they are; a link out of the folder is refused."""
    for path in matching_files(folder, patterns):
        shutil.copyfile(inside(folder, path.name), staging / path.name)


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object for people to read."""
    file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
