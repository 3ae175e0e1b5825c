"""Model folders of ours into those of Hugging Face, and back; classifiers into ONNX."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from torch import Tensor

from heedful.checkpoint import (
    CONFIG_FILE,
    TASK_FILE,
    Located,
    StoredWeights,
    TensorInfo,
    locate,
    open_weights,
    read_json,
    replace_files,
    write_config,
    write_weights,
)
from heedful.checkpoint.folder import MODEL_PREFIX
from heedful.errors import CheckpointError, OutputError, RequestError
from heedful.families import Pretrained, read_pretrained
from heedful.families.pretrained import HEAD_PREFIX
from heedful.inference import INT8_FILE
from heedful.settings import nearest
from heedful.tasks.classification import classifier_of
from heedful.tasks.export import export
from heedful.tasks.model_files import (
    GENERATION_FILE,
    TOKENIZER_FILES,
    WEIGHT_FILES,
    ConversionOptions,
    cast,
    copy_files,
    matching_files,
    write_json,
)
from heedful.tasks.onnx import ONNX_FILES, export_onnx
from heedful.tasks.registry import load
from heedful.text import Tokenizer

MODEL_FILES = (CONFIG_FILE, TASK_FILE, GENERATION_FILE, INT8_FILE, *WEIGHT_FILES, *TOKENIZER_FILES, *ONNX_FILES)
"""All that a model folder consists of; what else lies there is left alone."""


_UNITS = ("", "K", "M", "G", "T")


class Target(StrEnum):
    """The form that a model is written in."""

    HEEDFUL = "heedful"
    HUGGINGFACE = "huggingface"
    ONNX = "onnx"


@dataclass(frozen=True)
class Conversion:
    """What was written."""

    folder: str
    form: Target
    what: str
    """Upstream's class, or what of ours."""
    tensors: int
    parameters: int
    dtypes: tuple[str, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())
    """What did not go along, and why."""

    def to_json(self) -> str:
        """As a JSON document."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    to: Target | str,
    options: ConversionOptions | None = None,
    revision: str | None = None,
    allow_pickle: bool = False,
) -> Conversion:
    """Write a model in another form, or in its own with other files or another dtype.

    Args:
        source: a folder, or ``owner/name`` of the Hub.
        destination: a folder that is new or empty, unless overwriting is allowed; never the source.
        to: the form to write.
        revision: branch, tag or commit of the Hub.
        allow_pickle: read ``pytorch_model.bin`` where there are no safetensors.

    Raises:
        CheckpointError: the source is damaged, or of no known family.
        UnsupportedError: the other form cannot express the model; the message says what of it.
        OutputError: the destination is taken, the source itself, or cannot be written to.
        JobError: the disk is full.
    """
    if to not in list(Target):
        raise RequestError(f"{to!r} is no form of a model; {nearest(str(to), list(Target))}")
    to, options, destination = Target(to), options or ConversionOptions(), Path(destination)
    if to is Target.ONNX and (options.dtype is not None or options.max_shard_bytes is not None):
        raise RequestError(
            "an ONNX file has weights of float32 and no shards", remedy="Leave dtype and shard size out."
        )
    located = locate(source, revision=revision, allow_pickle=allow_pickle)
    _check_destination(located.folder, destination, overwrite=options.overwrite)
    notes: list[str] = []
    with replace_files(destination) as staging:
        if to is Target.ONNX:
            task = load(source, revision=revision, allow_pickle=allow_pickle)
            what = export_onnx(task, staging, destination.name)
        else:
            what, notes = _write(located, staging, to, options, allow_pickle=allow_pickle, name=destination.name)
        written = sorted(path.name for path in staging.iterdir())
    for path in matching_files(destination, MODEL_FILES):
        if path.name not in written:  # of the model that was there before
            path.unlink()
    weights = task.network.state_dict() if to is Target.ONNX else open_weights(destination)
    return _summary(destination, to, what, written, notes, weights)


def parse_size(text: str) -> int:
    """Bytes of a size such as ``2GB``, ``500 MB`` or ``1GiB``.

    Raises:
        RequestError: it is none.
    """
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    size = int(float(found[1]) * (1024 if found[3] else 1000) ** _UNITS.index(found[2].upper())) if found else 0
    if size < 1:
        raise RequestError(f"{text!r} is no size of a file", remedy="Give a number and a unit, such as 2GB or 500MB.")
    return size


def _check_destination(source: Path, destination: Path, *, overwrite: bool) -> None:
    if destination.resolve() == source.resolve():
        raise OutputError(
            f"{destination} is the source itself, and a model is never converted in place",
            remedy="Choose a new folder.",
        )
    if destination.exists() and not destination.is_dir():
        raise OutputError(f"{destination} is a file", remedy="Choose a new folder.")
    if not overwrite and destination.is_dir() and any(destination.iterdir()):
        raise OutputError(
            f"{destination} is not empty", remedy="Choose a new folder, or replace the model in it with --overwrite."
        )


def _write(
    located: Located, staging: Path, to: Target, options: ConversionOptions, *, allow_pickle: bool, name: str
) -> tuple[str, list[str]]:
    """Write what a model consists of: says what that is, and what did not go along."""
    copy_files(located.folder, staging, (GENERATION_FILE,))
    ours = "format_version" in read_json(located.folder / CONFIG_FILE)
    if ours == (to is Target.HEEDFUL):
        return _rewrite(located.folder, staging, options, allow_pickle=allow_pickle)
    if ours:
        return export(located.folder, staging, options)
    return _adopt(located, staging, options, allow_pickle=allow_pickle, name=name)


# Hugging Face's to ours


def _adopt(
    located: Located, staging: Path, options: ConversionOptions, *, allow_pickle: bool, name: str
) -> tuple[str, list[str]]:
    pretrained = read_pretrained(located, allow_pickle=allow_pickle)
    notes = [f"left aside: {note}" for note in pretrained.notes]
    if pretrained.has_head and len(pretrained.labels) > 1:
        inner = staging / name
        classifier = classifier_of(pretrained, dtype=options.dtype)
        classifier.save(inner, max_shard_bytes=options.max_shard_bytes)
        for path in list(inner.iterdir()):
            path.rename(staging / path.name)
        inner.rmdir()
        return f"a classifier with {len(classifier.labels)} labels", notes
    write_config(staging, {"spec": pretrained.spec.model_dump(mode="json"), "origin": pretrained.origin})
    tensors = {_our_name(name): tensor for name, tensor in pretrained.tensors().items()}
    write_weights(staging, cast(tensors, options.dtype), max_shard_bytes=options.max_shard_bytes)
    return "a bare model", notes + _save_tokenizers(pretrained, staging)


def _our_name(name: str) -> str:
    return name if name.startswith(HEAD_PREFIX) else MODEL_PREFIX + name


def _save_tokenizers(pretrained: Pretrained, staging: Path) -> list[str]:
    """Write the tokenizer, or both of a translation; returns what there is to say."""
    try:
        sides = Tokenizer.load_sides(pretrained.located.folder)
    except CheckpointError as caught:
        if not caught.message.startswith("there is no tokenizer"):
            raise
        return ["there is no tokenizer to go along"]
    for side, tokenizer in sides.items():
        tokenizer.save(staging, side=side)
    return []


# The same form, written anew


def _rewrite(folder: Path, staging: Path, options: ConversionOptions, *, allow_pickle: bool) -> tuple[str, list[str]]:
    weights = open_weights(folder, allow_pickle=allow_pickle)
    copy_files(folder, staging, (TASK_FILE, "README.md", *TOKENIZER_FILES))
    config = read_json(folder / CONFIG_FILE)
    if "format_version" not in config and options.dtype is not None:
        config.pop("torch_dtype", None)
        config["dtype"] = str(options.dtype).removeprefix("torch.")
    write_json(staging / CONFIG_FILE, config)
    write_weights(staging, cast(_all(weights), options.dtype), max_shard_bytes=options.max_shard_bytes)
    return "the same model", []


def _all(weights: StoredWeights) -> dict[str, Tensor]:
    return {name: weights.tensor(name) for name in weights}


def _summary(
    folder: Path,
    form: Target,
    what: str,
    files: list[str],
    notes: list[str],
    weights: Mapping[str, Tensor | TensorInfo],
) -> Conversion:
    return Conversion(
        folder=str(folder),
        form=form,
        what=what,
        tensors=len(weights),
        parameters=sum(math.prod(info.shape) for info in weights.values()),
        dtypes=tuple(sorted({str(info.dtype).removeprefix("torch.") for info in weights.values()})),
        files=tuple(files),
        notes=tuple(notes),
    )
