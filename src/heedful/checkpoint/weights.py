"""Weights as safetensors: tied weights once, loading strict."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from heedful.errors import CheckpointError

WEIGHTS_FILE = "model.safetensors"


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the parameters and persistent buffers of ``module``; a tensor under two names is written once.

    Raises:
        OSError: the file cannot be written.
    """
    aliases = _aliases(module)
    tensors = {
        name: tensor.detach().contiguous()
        for name, tensor in module.state_dict().items()
        if aliases.get(name, name) == name
    }
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    path.chmod(mode)  # the library leaves a file that its owner alone may read


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: the file is missing or is not a whole safetensors file.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist",
            remedy="Give a folder that holds a saved model (model.safetensors, config.json, ...).",
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file: {error}", remedy="Copy or save the model again."
        ) from error


def assign_weights(module: nn.Module, tensors: dict[str, Tensor], *, source: str) -> None:
    """Load ``tensors`` into ``module``: every name and shape must match; values keep their stored dtype.

    Raises:
        CheckpointError: weights are missing, unexpected or misshapen; the message lists them all.
    """
    aliases = _aliases(module)
    wanted = module.state_dict()
    complete = {name: tensors[first] for name, first in aliases.items() if first in tensors} | tensors
    faults = [f"missing {name} {tuple(wanted[name].shape)}" for name in wanted if name not in complete]
    faults += [f"unexpected {name} {tuple(tensors[name].shape)}" for name in tensors if name not in wanted]
    faults += [
        f"misshapen {name}: {tuple(complete[name].shape)} stored, {tuple(wanted[name].shape)} wanted"
        for name in wanted
        if name in complete and complete[name].shape != wanted[name].shape
    ]
    if faults:
        raise CheckpointError(
            f"the weights of {source} do not fit its configuration:\n  " + "\n  ".join(faults),
            remedy="Take config.json and model.safetensors from the same run.",
        )
    dtypes = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if len(dtypes) == 1:
        module.to(dtype=dtypes.pop())
    module.load_state_dict(complete)


def _aliases(module: nn.Module) -> dict[str, str]:
    """Map every name of a tied parameter to the first name it bears."""
    first: dict[int, str] = {}
    return {
        name: first.setdefault(id(parameter), name)
        for name, parameter in module.named_parameters(remove_duplicate=False)
    }
