"""The weight files of a folder: which there are, and what is wrong with each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from heedful.checkpoint.doctor.findings import Finding, error, note
from heedful.checkpoint.pickle_file import PickleFile
from heedful.checkpoint.safetensors_file import SafetensorsFile
from heedful.checkpoint.stored import (
    INDEX_ENDING,
    LFS_POINTER,
    MAX_INDEX_BYTES,
    PICKLE_FILE,
    WEIGHTS_FILE,
    StoredWeights,
    open_weights,
)
from heedful.errors import CheckpointError
from heedful.files import inside, read_json

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OTHER_FORMATS = {
    "*.gguf": "llama.cpp",
    "*.ggml": "llama.cpp",
    "*.h5": "TensorFlow",
    "*.ckpt*": "TensorFlow or Lightning",
    "*.msgpack": "Flax",
    "*.onnx": "ONNX",
    "*.pt": "PyTorch, under a name of its own",
    "*.pth": "PyTorch, under a name of its own",
    "*.npz": "NumPy",
}
"""Weights that are not read here, and whose they are."""


_CONVERT = "heedful convert {} NEW_FOLDER --to huggingface --allow-pickle"


def weight_files(folder: Path) -> list[Path]:
    """All files of a folder that hold weights in a form that is read here, by name."""
    patterns = ("*.safetensors", "pytorch_model*.bin")
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.name != ADAPTER_WEIGHTS})


def open_files(folder: Path, *, allow_pickle: bool) -> tuple[StoredWeights | None, list[Finding]]:
    """The weights of a folder if all of their files are whole, and what is wrong with each that is not."""
    findings = []
    try:
        weights = open_weights(folder, allow_pickle=allow_pickle)
    except CheckpointError as caught:
        findings += [*_damaged(folder), *_missing(folder)] or [_absent(folder, caught)]
        return None, findings
    if any(info.file.endswith(".bin") for info in weights.values()):
        findings.append(
            note(
                "pickle",
                "the weights are a pickle, which was read as plain tensors only",
                remedy=f"Make it safe for everybody: {_CONVERT.format(folder)}",
            )
        )
    return weights, findings


def _damaged(folder: Path) -> Iterator[Finding]:
    for path in weight_files(folder):
        try:
            with inside(folder, path.name).open("rb") as stream:
                start = stream.read(len(LFS_POINTER))
            if start == LFS_POINTER:
                yield error(
                    "lfs_pointer",
                    f"{path.name} is a Git-LFS pointer, a note of some lines in place of the weights",
                    "The repository was cloned without Git LFS, or downloaded as an archive.",
                    "Run `git lfs install` and `git lfs pull` in the clone, or download the file from the Hub.",
                    names=[path.name],
                )
            elif path.suffix == ".safetensors":
                SafetensorsFile(path)
        except CheckpointError as caught:
            truncated = "truncated" in caught.message
            yield error(
                "truncated_file" if truncated else "damaged_file",
                caught.message,
                "A download or a copy that broke off." if truncated else None,
                caught.remedy,
                names=[path.name],
            )


def _missing(folder: Path) -> Iterator[Finding]:
    """Shards that an index names and that are not there, or do not hold what it says."""
    for name in (WEIGHTS_FILE, PICKLE_FILE):
        index = folder / (name + INDEX_ENDING)
        if not index.is_file() or (folder / name).is_file():
            continue
        try:
            places = dict(read_json(index, max_bytes=MAX_INDEX_BYTES).get("weight_map") or {})
        except (CheckpointError, TypeError, ValueError) as caught:
            yield error("damaged_file", f"{index.name} is no index of weights: {caught}", names=[index.name])
            continue
        files = sorted({str(file) for file in places.values()})
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            lost = sum(file in missing for file in places.values())
            yield error(
                "missing_shard",
                f"{len(missing)} of {len(files)} weight files are missing, with {lost:,} of {len(places):,} tensors",
                "A download or a copy that broke off.",
                f"Download or copy them into the folder: {', '.join(missing)}",
                names=missing,
            )


def _absent(folder: Path, caught: CheckpointError) -> Finding:
    """Why there is nothing to read, where every file that could be read is whole."""
    pickles = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickles and not list(folder.glob("model*.safetensors")):
        try:
            for name in pickles:
                PickleFile(inside(folder, name))
        except CheckpointError as damaged:
            return error("pickle", damaged.message, remedy=damaged.remedy, names=pickles)
        return error(
            "pickle_only",
            f"the weights are a pickle ({', '.join(pickles)}), and none are safetensors",
            "An older checkpoint. A pickle is a program; this one holds plain tensors only.",
            f"Take a version with {WEIGHTS_FILE}, or make one: {_CONVERT.format(folder)}",
            names=pickles,
        )
    others = {path.name: owner for pattern, owner in OTHER_FORMATS.items() for path in sorted(folder.glob(pattern))}
    if others:
        name, owner = next(iter(others.items()))
        return error(
            "other_format",
            f"{name} is of a format that heedful does not read ({owner}), and there is no {WEIGHTS_FILE}",
            remedy=f"Take a version with {WEIGHTS_FILE}, or save one with the program that wrote it.",
            names=tuple(others),
        )
    return error("no_weights", caught.message, remedy=caught.remedy)
