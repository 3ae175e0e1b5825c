"""Weights as safetensors: tied weights once, loading strict."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from heedful.checkpoint.stored import INDEX_ENDING, WEIGHTS_FILE
from heedful.errors import CheckpointError


def distinct_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and persistent buffers of ``module`` by name; one under two names is there once."""
    aliases = _aliases(module)
    return {name: tensor for name, tensor in module.state_dict().items() if aliases.get(name, name) == name}


def write_weights(folder: Path, tensors: Mapping[str, Tensor], *, max_shard_bytes: int | None = None) -> None:
    """Write tensors as ``model.safetensors``, or as shards and their index in the form of Hugging Face.

    Tensors go into shards in the order given; each is written under every name that it is given.

    Args:
        folder: exists and holds no weights, such as what :func:`replace_files` yields.
        max_shard_bytes: of the values in one file; a tensor above it has a file of its own.

    Raises:
        OSError: a file cannot be written.
    """
    shards: list[dict[str, Tensor]] = []
    room = 0
    for name, tensor in tensors.items():
        if not shards or (max_shard_bytes is not None and tensor.nbytes > room):
            shards.append({})
            room = max_shard_bytes or 0
        shards[-1][name] = tensor
        room -= tensor.nbytes
    if len(shards) <= 1:
        write_safetensors(folder / WEIGHTS_FILE, shards[0] if shards else {})
        return
    places = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / file, shard)
        places.update(dict.fromkeys(shard, file))
    index = {
        "metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())},
        "weight_map": dict(sorted(places.items())),
    }
    (folder / f"{WEIGHTS_FILE}{INDEX_ENDING}").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def assign_weights(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Load ``tensors`` into ``module``: every name and shape must match; values keep their stored dtype.

    The module may be on the device ``meta``, so that nothing is allocated for shapes that do not match. It holds
    copies: what becomes of a mapped file later does not reach it. Where ``tensors`` reads each when it is asked for, no
    more than one is held twice.

    Raises:
        CheckpointError: weights are missing, unexpected or misshapen; the message lists them all.
    """
    aliases = _aliases(module)
    wanted = module.state_dict()
    places = {name: first for name, first in aliases.items() if first in tensors} | {name: name for name in tensors}
    faults = [f"missing {name} {tuple(wanted[name].shape)}" for name in wanted if name not in places]
    faults += [f"unexpected {name} {tuple(tensors[name].shape)}" for name in tensors if name not in wanted]
    faults += [
        f"misshapen {name}: {tuple(tensors[places[name]].shape)} stored, {tuple(wanted[name].shape)} wanted"
        for name in wanted
        if name in places and tensors[places[name]].shape != wanted[name].shape
    ]
    if faults:
        raise CheckpointError(
            f"the weights of {source} do not fit its configuration:\n  " + "\n  ".join(faults),
            remedy="Take config.json and model.safetensors from the same run.",
        )
    dtypes = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if len(dtypes) == 1:
        module.to(dtype=dtypes.pop())
    copies = {
        name: tensors[places[name]].to("cpu" if own.is_meta else own.device, own.dtype, copy=True)
        for name, own in module.state_dict().items()
    }
    module.load_state_dict(copies, assign=True)
    for name, first in aliases.items():
        if name != first:
            owner, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(owner), leaf, module.get_parameter(first))


def _aliases(module: nn.Module) -> dict[str, str]:
    """Map every name of a tied parameter to the first name it bears."""
    first: dict[int, str] = {}
    return {
        name: first.setdefault(id(parameter), name)
        for name, parameter in module.named_parameters(remove_duplicate=False)
    }


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file.

    Raises:
        OSError: the file cannot be written.
    """
    places: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        values = tensor.detach().cpu().contiguous()
        apart[name] = values.clone() if values.data_ptr() in places else values  # the library refuses shared memory
        places.add(values.data_ptr())
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(apart, path, metadata={"format": "pt"})
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    path.chmod(mode)  # the library leaves a file that its owner alone may read
