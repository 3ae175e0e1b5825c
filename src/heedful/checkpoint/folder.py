"""A model folder: config.json, model.safetensors, tokenizer.json, task.json, README.md, maybe target_tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from heedful.checkpoint.atomic import replace_files
from heedful.checkpoint.stored import StoredTensors, open_weights
from heedful.checkpoint.weights import assign_weights, distinct_tensors, write_weights
from heedful.errors import CheckpointError, UnsupportedError
from heedful.files import read_json
from heedful.model import Transformer, TransformerSpec, build
from heedful.model.skeleton import skeleton
from heedful.nn.int8 import is_rounded
from heedful.settings import parse
from heedful.text import Side, Tokenizer

CONFIG_FILE = "config.json"
TASK_FILE = "task.json"
README_FILE = "README.md"
FORMAT_VERSION = 1
MODEL_PREFIX = "model."
"""Of the Transformer's weights in model.safetensors; beside them stand those of the job's head."""


def save_folder(
    folder: Path,
    *,
    config: Mapping[str, Any],
    network: nn.Module,
    tokenizers: Mapping[Side, Tokenizer],
    card: str,
    readme: str,
    max_shard_bytes: int | None = None,
) -> None:
    """Write a model folder; what was there stays whole until the new files are complete.

    Args:
        config: what ``config.json`` says of the model, beside the version of the format: its ``spec``, say.
        tokenizers: that of the source, and that of the target where it is another.
        network: holds the model as ``model`` and whatever the job adds to it.
        card: the content of ``task.json``.
        max_shard_bytes: of one weight file; all in one unless given.

    Raises:
        JobError: the disk is full.
        OutputError: the folder cannot be written to.
        UnsupportedError: the network has been rounded to integers.
    """
    if is_rounded(network):
        raise UnsupportedError(
            "a network that was rounded to 8-bit integers cannot be saved", remedy="Load it without precision."
        )
    with replace_files(folder) as staging:
        write_config(staging, config)
        (staging / TASK_FILE).write_text(card + "\n", encoding="utf-8")
        (staging / README_FILE).write_text(readme, encoding="utf-8")
        for side, tokenizer in tokenizers.items():
            tokenizer.save(staging, side=side)
        write_weights(staging, distinct_tensors(network), max_shard_bytes=max_shard_bytes)


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the ``config.json`` of a model folder of ours."""
    complete = {"format_version": FORMAT_VERSION, **config}
    (folder / CONFIG_FILE).write_text(json.dumps(complete, indent=2) + "\n", encoding="utf-8")


def read_config(folder: Path) -> dict[str, Any]:
    """What the ``config.json`` of a model folder says.

    Raises:
        CheckpointError: the file is missing, not ours, or of a later format.
    """
    file = folder / CONFIG_FILE
    config = read_json(file)
    version = config.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{file} has format_version {version!r}, not {FORMAT_VERSION}",
            remedy="Only model folders written by heedful load; a later heedful may be needed.",
        )
    return config


def read_spec(folder: Path) -> TransformerSpec:
    """The spec in a model folder's ``config.json``.

    Raises:
        CheckpointError: as :func:`read_config`, or the spec is impossible.
    """
    spec = read_config(folder).get("spec")
    return parse(TransformerSpec, spec, name=f"the spec in {folder / CONFIG_FILE}", error=CheckpointError)


def read_network(folder: Path, network: nn.Module) -> None:
    """Load the weights of a model folder into ``network``, strictly.

    Build it on the device ``meta`` where that is possible: then a config that asks for more than the weights are
    is refused before anything is allocated.
    """
    assign_weights(network, StoredTensors(open_weights(folder)), source=str(folder))


def read_model(folder: str | Path) -> Transformer:
    """The bare Transformer of a model folder, in evaluation mode; the head of its job is left out.

    Raises:
        CheckpointError: the folder is missing, incomplete or inconsistent.
    """
    folder = Path(folder)
    with skeleton():
        model = build(read_spec(folder))
    assign_weights(model, StoredTensors(open_weights(folder), MODEL_PREFIX), source=str(folder))
    return model.eval()
