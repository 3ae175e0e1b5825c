"""Low-rank adapters (Hu et al. 2021, LoRA) in PEFT's two files, written and merged onto the weights they belong to.

``adapter_config.json`` says how, ``adapter_model.safetensors`` holds for each adapted map ``lora_A`` (R, I) and
``lora_B`` (O, R), R rank, I inputs, O outputs: W + α / R · B A is the map that they make of a weight W (O, I).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from heedful.checkpoint.atomic import replace_files
from heedful.checkpoint.safetensors_file import SafetensorsFile
from heedful.checkpoint.stored import StoredWeights, TensorInfo
from heedful.checkpoint.weights import write_safetensors
from heedful.errors import CheckpointError
from heedful.files import inside, read_json
from heedful.settings import Settings, parse

ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_FACTOR = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")

_IGNORED = {
    "auto_mapping": "names Python classes",
    "base_model_name_or_path": "the base is given",
    "inference_mode": "says whether PEFT would train it",
    "layers_pattern": "which layers were adapted is seen from the tensors",
    "layers_to_transform": "as layers_pattern",
    "exclude_modules": "as layers_pattern",
    "target_modules": "as layers_pattern",
    "lora_dropout": "of training",
    "megatron_core": "the name of a Python module",
    "peft_version": "of the program that wrote it",
    "qalora_group_size": "has a meaning only with use_qalora",
    "revision": "of the base",
    "runtime_config": "how PEFT would run it",
    "task_type": "which class PEFT would wrap",
}
"""Keys of an adapter_config.json that change no number, and why."""

_MERGEABLE = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


class AdapterConfig(Settings):
    """What an ``adapter_config.json`` may say; of what is not done here, the value that switches it off."""

    peft_type: Literal["LORA"]
    r: int = Field(gt=0, le=2**16)
    lora_alpha: float
    use_rslora: bool = False
    fan_in_fan_out: bool = False
    modules_to_save: tuple[str, ...] | None = None
    bias: Literal["none"] = "none"
    init_lora_weights: bool | Literal["gaussian", "orthogonal", "eva"] = True

    @property
    def scale(self) -> float:
        """α / R, or α / √R where it is rank-stabilised (Kalajdzievski 2023)."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)


@dataclass(frozen=True)
class Adapter:
    """Low-rank changes of the weights of a model."""

    factors: Mapping[str, tuple[Tensor, Tensor]]
    """By the name of the adapted map: down (R, I) and up (O, R)."""
    rank: int
    alpha: float
    fan_in_fan_out: bool = False
    """Whether the weights that it changes are stored as (I, O)."""


@dataclass(frozen=True)
class Update:
    """What an adapter adds to one weight."""

    down: str
    """Name of the tensor (R, I)."""
    up: str
    """Name of the tensor (O, R)."""


class AdaptedWeights(StoredWeights):
    """Weights of a base with an adapter merged onto them, one at a time as they are read."""

    def __init__(self, base: StoredWeights, adapter: SafetensorsFile, config: AdapterConfig) -> None:
        """
        Raises:
            CheckpointError: the adapter's tensors do not fit the base; the message lists every fault.
        """
        self.folder = base.folder
        self._base, self._adapter, self._config = base, adapter, config
        self._updates: dict[str, Update] = {}
        self._replaced: dict[str, str] = {}
        faults = list(self._read_names())
        faults += [fault for name in self._updates for fault in self._unfit(name)]
        if faults:
            raise CheckpointError(
                f"the adapter {adapter.path} does not fit the weights of {base.folder}:\n  " + "\n  ".join(faults),
                remedy="Give the base that the adapter was trained on; its adapter_config.json may name it.",
            )

    def __getitem__(self, name: str) -> TensorInfo:
        if name in self._replaced:
            stored = self._adapter.tensors[self._replaced[name]]
            return TensorInfo(stored.dtype, stored.shape, self._adapter.path.name)
        return self._base[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._base, *self._replaced)))

    def __len__(self) -> int:
        return len({*self._base, *self._replaced})

    def tensor(self, name: str) -> Tensor:
        """Read one tensor of the base and add what the adapter adds to it, in float32 at least."""
        if name in self._replaced:
            return self._adapter.read(self._replaced[name])
        weight = self._base.tensor(name)
        update = self._updates.get(name)
        if update is None:
            return weight
        down, up = self._adapter.read(update.down), self._adapter.read(update.up)
        precision = torch.promote_types(torch.promote_types(weight.dtype, down.dtype), torch.float32)
        delta = (up.to(precision) @ down.to(precision)) * self._config.scale
        if self._config.fan_in_fan_out:
            delta = delta.T
        return (weight.to(precision) + delta).to(weight.dtype)

    def _read_names(self) -> Iterator[str]:
        """Sort the adapter's tensors into updates and replacements; yields what is wrong with their names."""
        factors: dict[str, dict[str, str]] = {}
        for stored in self._adapter.tensors:
            module = stored.removeprefix(_PREFIX)
            if found := _FACTOR.fullmatch(stored):
                factors.setdefault(found[1], {})[found[2]] = stored
            elif stored.startswith(_PREFIX) and set(self._config.modules_to_save or ()) & set(module.split(".")):
                self._replaced[module] = stored
            else:
                yield f"unexpected {stored!a:.200}"
        for module, halves in factors.items():
            weight = _find(f"{module}.weight", self._base)
            if weight is None:
                yield f"{module!a:.200} is no map of the base"
            elif weight in self._updates:
                yield f"{module!a:.200} changes {weight!a:.200}, and another does too"
            elif len(halves) < 2:
                yield f"{module!a:.200} has lora_{next(iter(halves))} only"
            else:
                self._updates[weight] = Update(down=halves["A"], up=halves["B"])

    def _unfit(self, name: str) -> Iterator[str]:
        base = self._base[name].shape
        outputs_inputs = base[::-1] if self._config.fan_in_fan_out else base
        update, rank = self._updates[name], self._config.r
        if len(base) != 2:
            yield f"{name!a:.200} {base} is no matrix"
            return
        wanted = {update.down: (rank, outputs_inputs[1]), update.up: (outputs_inputs[0], rank)}
        for stored, shape in wanted.items():
            if self._adapter.tensors[stored].shape != shape:
                yield f"misshapen {stored!a:.200}: {self._adapter.tensors[stored].shape} stored, {shape} wanted"
        kinds = {name: self._base[name].dtype} | {stored: self._adapter.tensors[stored].dtype for stored in wanted}
        yield from (f"{stored!a:.200} holds {kind}" for stored, kind in kinds.items() if kind not in _MERGEABLE)


def merge_adapter(weights: StoredWeights, folder: str | Path) -> StoredWeights:
    """Merge the PEFT adapter in ``folder`` onto the weights it was trained on, which bear their upstream names.

    Nothing is read until a tensor is asked for. A module that the adapter holds as a whole (``modules_to_save``,
    such as a classifier) takes the place of the base's, or is added.

    Raises:
        CheckpointError: a file is missing or damaged, the adapter is of a kind that is not merged here (the message
            names each such key), or its tensors do not fit the weights.
    """
    folder = Path(folder)
    config = read_adapter_config(folder)
    return AdaptedWeights(weights, SafetensorsFile(_existing(folder, ADAPTER_WEIGHTS_FILE)), config)


def read_adapter_config(folder: Path) -> AdapterConfig:
    """The settings of the adapter in ``folder``.

    Raises:
        CheckpointError: the file is missing, or asks for what is not done here; the message names each such key.
    """
    file = _existing(folder, ADAPTER_CONFIG_FILE)
    data = read_json(file)
    known = {key: value for key, value in data.items() if key in AdapterConfig.model_fields}
    # The program that writes these files adds a key for each new variant: empty, it switches nothing on.
    others = [
        f"{key!a:.80} {value!a:.80}"
        for key, value in data.items()
        if key not in known and key not in _IGNORED and value not in (None, False, {}, [])
    ]
    if others:
        raise CheckpointError(
            f"{file} asks for what is not merged here: {', '.join(others)}",
            remedy="Merge the adapter where it was trained (PEFT: merge_and_unload), and load the result.",
        )
    return parse(AdapterConfig, known, name=str(file), error=CheckpointError)


def write_adapter(folder: Path, adapter: Adapter, *, base: str) -> None:
    """Write an adapter that PEFT reads; what was in ``folder`` stays whole until the new files are complete.

    Args:
        base: the checkpoint that it adapts, a folder or a Hub id.

    Raises:
        JobError: the disk is full.
        OutputError: the folder cannot be written to.
    """
    config = {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "use_rslora": False,
        "fan_in_fan_out": adapter.fan_in_fan_out,
        "bias": "none",
        "target_modules": sorted(adapter.factors),
        "modules_to_save": None,
    }
    tensors = {
        f"{_PREFIX}{name}.lora_{half}.weight": factor
        for name, factors in adapter.factors.items()
        for half, factor in zip("AB", factors, strict=True)
    }
    with replace_files(folder) as staging:
        (staging / ADAPTER_CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        write_safetensors(staging / ADAPTER_WEIGHTS_FILE, tensors)


def _existing(folder: Path, name: str) -> Path:
    file = inside(folder, name)
    if not file.is_file():
        raise CheckpointError(
            f"{file} does not exist",
            remedy=f"Give the folder of a LoRA adapter: {ADAPTER_CONFIG_FILE} and {ADAPTER_WEIGHTS_FILE}.",
        )
    return file


def _find(name: str, weights: Mapping[str, object]) -> str | None:
    """The weight that an adapter calls ``name``: one of the two may stand in a wrapper, such as ``bert.``."""
    if name in weights:
        return name
    inner = name.partition(".")[2]
    if inner in weights:
        return inner
    outer = [known for known in weights if known.endswith(f".{name}")]
    return outer[0] if len(outer) == 1 else None
