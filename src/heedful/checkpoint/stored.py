"""What the weight files of a folder hold: names, dtypes and shapes first, values one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from heedful.checkpoint.pickle_file import PickleFile
from heedful.checkpoint.safetensors_file import SafetensorsFile
from heedful.errors import CheckpointError
from heedful.files import inside, is_folder, read_json

WEIGHTS_FILE = "model.safetensors"
INDEX_ENDING = ".index.json"
PICKLE_FILE = "pytorch_model.bin"
MAX_INDEX_BYTES = 100_000_000
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class TensorInfo:
    """What is known of a stored tensor before its values are read."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    file: str
    """Name of its file inside the folder."""


class _HasShape(Protocol):
    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


class WeightFile(Protocol):
    """A weight file that has been proven: reading any of its tensors costs what the tensor holds, no more."""

    @property
    def path(self) -> Path: ...

    @property
    def tensors(self) -> Mapping[str, _HasShape]: ...

    def read(self, name: str) -> Tensor: ...


class StoredWeights(Mapping[str, TensorInfo]):
    """The tensors of one or several weight files; values are read when they are asked for."""

    def __init__(self, folder: Path, files: Iterable[WeightFile]) -> None:
        """
        Raises:
            CheckpointError: two files hold the same tensor.
        """
        self.folder = folder
        self._files: dict[str, WeightFile] = {}
        for file in files:
            for name in file.tensors:
                if name in self._files:
                    raise CheckpointError(
                        f"{folder} holds the tensor {name!a:.200} twice, "
                        f"in {self._files[name].path.name} and in {file.path.name}",
                        remedy="Download all weight files again: these are not of one model.",
                    )
                self._files[name] = file

    def __getitem__(self, name: str) -> TensorInfo:
        stored = self._files[name].tensors[name]
        return TensorInfo(stored.dtype, tuple(stored.shape), self._files[name].path.relative_to(self.folder).as_posix())

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def tensor(self, name: str) -> Tensor:
        """Read the values of one tensor, as a view of its mapped file where the format allows."""
        return self._files[name].read(name)


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of weight files whose names begin with a prefix, by what follows it; read when they are asked for."""

    def __init__(self, stored: StoredWeights, prefix: str = "") -> None:
        self._stored = stored
        self._names = {name.removeprefix(prefix): name for name in stored if name.startswith(prefix)}

    def __getitem__(self, name: str) -> Tensor:
        return self._stored.tensor(self._names[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def open_weights(folder: str | Path, *, allow_pickle: bool = False) -> StoredWeights:
    """Read what the weight files of a folder hold; no tensor is read and nothing of its size allocated.

    Weights are ``model.safetensors``, or ``model.safetensors.index.json`` with the shards that it names; where
    neither is there and ``allow_pickle`` is set, ``pytorch_model.bin`` or its index and shards.

    Raises:
        CheckpointError: there are no weights, or a file is damaged or does not hold what the index says.
    """
    if not is_folder(folder):
        raise CheckpointError(f"there is no folder {str(folder)!a:.200}", remedy="Give a folder that holds a model.")
    folder = Path(folder)
    for name, reader in ((WEIGHTS_FILE, SafetensorsFile), (PICKLE_FILE, PickleFile)):
        index = name + INDEX_ENDING
        if not _is_there(folder, name) and not _is_there(folder, index):
            continue
        if name == PICKLE_FILE and not allow_pickle:
            raise CheckpointError(
                f"the weights in {folder} are a pickle, {name}, and none are safetensors",
                remedy="A pickle is a program that can claim anything. Take a version with model.safetensors, or allow "
                "the pickle (--allow-pickle, in Python allow_pickle=True): it is then read as tensors only.",
            )
        if _is_there(folder, name):
            return StoredWeights(folder, [_open(folder, name, reader)])
        return _open_shards(folder, index, reader)
    raise CheckpointError(
        f"{folder / WEIGHTS_FILE} does not exist, nor {WEIGHTS_FILE}{INDEX_ENDING}",
        remedy="Give a folder that holds a saved model (model.safetensors, config.json, ...). "
        "Pickles of the Hub (pytorch_model.bin) are downloaded only with --allow-pickle.",
    )


def _open_shards(folder: Path, index_name: str, reader: Callable[[Path], WeightFile]) -> StoredWeights:
    """The weights of all shards, which together hold what the index says, neither less nor more."""
    index = folder / index_name
    places = read_json(index, max_bytes=MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(file, str) for file in places.values()):
        raise CheckpointError(
            f"{index} holds no weight_map from tensors to files", remedy="Download or copy the file again."
        )
    names = sorted(set(places.values()))
    missing = [name for name in names if not _is_there(folder, name)]
    if missing:
        raise CheckpointError(
            f"{index} names {len(names)} weight files, and {len(missing)} do not exist: {', '.join(missing[:8])}",
            remedy="Download or copy the missing files into the folder.",
        )
    shards = {name: _open(folder, name, reader) for name in names}
    for tensor, name in places.items():
        if tensor not in shards[name].tensors:
            raise CheckpointError(
                f"{index} says that {name} holds the tensor {tensor!a:.200}, and it does not",
                remedy="Download the index and all weight files again: they are not of one model.",
            )
    weights = StoredWeights(folder, shards.values())
    unnamed = [tensor for tensor in weights if tensor not in places]
    if unnamed:
        raise CheckpointError(
            f"{weights[unnamed[0]].file} holds the tensor {unnamed[0]!a:.200}, which {index} does not name",
            remedy="Download the index and all weight files again: they are not of one model.",
        )
    return weights


def _open(folder: Path, name: str, reader: Callable[[Path], WeightFile]) -> WeightFile:
    path = inside(folder, name)
    with path.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise CheckpointError(
                f"{path} is a Git-LFS pointer, a note of some lines in place of the weights",
                remedy="Install Git LFS and run `git lfs pull` where the model was cloned, or download the file.",
            )
    return reader(path)


def _is_there(folder: Path, name: str) -> bool:
    return inside(folder, name).is_file()
