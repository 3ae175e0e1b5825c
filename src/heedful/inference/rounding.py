"""A network whose linear maps multiply 8-bit integers, and the file that keeps them beside its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from heedful.checkpoint.safetensors_file import SafetensorsFile
from heedful.checkpoint.weights import write_safetensors
from heedful.errors import CheckpointError
from heedful.model import Transformer
from heedful.nn import LanguageModelHead, Layer, SelfAttention
from heedful.nn.int8 import Int8FeedForward, Int8Linear

INT8_FILE = "int8.safetensors"
PARTS = {
    "weight": torch.int8,
    "weight_scale": torch.float32,
    "input_scale": torch.float32,
    "input_zero_point": torch.int32,
}
"""What is kept of a map; its bias is that of the network's own."""


def linear_maps(network: nn.Module) -> dict[str, nn.Linear]:
    """The linear maps in the layers of a network and into its vocabulary, by name: nearly all of its work.

    That into the vocabulary shares its weight with the network, and stands there only where :func:`put` puts it.
    """
    maps = {}
    for place, module in network.named_modules():
        if isinstance(module, Layer):
            parts = module.named_modules(prefix=place)
            maps.update({name: part for name, part in parts if isinstance(part, nn.Linear)})
        elif isinstance(module, Transformer) and module.output is not None and module.output.product is None:
            maps[f"{place}.output.product".lstrip(".")] = module.output.linear(module.written_embedding.weight)
    return maps


def put(network: nn.Module, maps: Mapping[str, nn.Module | None]) -> None:
    """Put maps into a network in the place of those that bear their names."""
    for name, module in maps.items():
        setattr(*_place(network, name), module)


def _place(network: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that holds one of this name, and what it is called there."""
    owner, _, leaf = name.rpartition(".")
    return network.get_submodule(owner), leaf


@contextmanager
def in_place(network: nn.Module, maps: Mapping[str, nn.Module]) -> Iterator[None]:
    """Maps stand in a network while the block runs, and may be changed for others; then it is as it was."""
    before = {name: getattr(*_place(network, name)) for name in maps}
    put(network, maps)
    try:
        yield
    finally:
        put(network, before)


def join(network: nn.Module) -> None:
    """Have calibrated maps that follow each other, or read the same, computed as one; what they give stays the same.

    It is for good: names of single maps are gone, and so are weights that a map took the place of.
    """
    for module in list(network.modules()):
        if isinstance(module, Layer) and module.feed_forward is not None:
            module.feed_forward = Int8FeedForward.of(module.feed_forward)  # type: ignore[assignment]
        elif type(module) is SelfAttention:
            modules: tuple[nn.Module, ...] = (module.query, module.key, module.value)
            maps = [each for each in modules if isinstance(each, Int8Linear)]
            if len(maps) == 3 and maps[0].span is not None and len({each.span for each in maps}) == 1:
                module.together = Int8Linear.side_by_side(maps)
                del module.query, module.key, module.value
        elif isinstance(module, LanguageModelHead) and module.product is not None:
            module.weight = module.bias = None  # its own, which nothing reads any more


def write_maps(folder: Path, maps: Mapping[str, Int8Linear]) -> None:
    """Keep calibrated maps in a folder.

    Raises:
        OSError: the file cannot be written.
    """
    tensors = {f"{name}.{part}": getattr(each, part) for name, each in maps.items() for part in PARTS}
    write_safetensors(folder / INT8_FILE, tensors)


def read_maps(folder: Path, network: nn.Module) -> dict[str, Int8Linear]:
    """The maps that a folder keeps for a network.

    Raises:
        CheckpointError: the file is damaged, or of another network.
    """
    path = folder / INT8_FILE
    file, own = SafetensorsFile(path), linear_maps(network)
    maps = {}
    for name in dict.fromkeys(tensor.rpartition(".")[0] for tensor in file.tensors):
        if name not in own:
            raise _unfit(path, f"it holds {name!a:.200}, which is no linear map of the network")
        linear = own[name]
        made = Int8Linear(linear.in_features, linear.out_features, bias=False)
        for part, dtype in PARTS.items():
            stored = file.tensors.get(f"{name}.{part}")
            if stored is None or stored.dtype != dtype or tuple(stored.shape) != tuple(getattr(made, part).shape):
                raise _unfit(path, f"{name}.{part} is not there as {dtype} of shape {tuple(getattr(made, part).shape)}")
            setattr(made, part, file.read(f"{name}.{part}").clone())
        if not torch.equal(made.weight_scale, Int8Linear.scale_of(linear)):
            raise _unfit(path, f"{name} was rounded from other weights than those of the network")
        made.bias = linear.bias
        maps[name] = made
    if extra := set(file.tensors) - {f"{name}.{part}" for name in maps for part in PARTS}:
        raise _unfit(path, f"{min(extra)!a:.200} is unknown")
    return maps


def rounded(
    linears: Mapping[str, nn.Linear], spans: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, Int8Linear]:
    """Linear maps, rounded; row by row unless the spans of their inputs are given."""
    return {name: Int8Linear.of(each, None if spans is None else spans[name]) for name, each in linears.items()}


def _unfit(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{path} does not fit the model: {why}", remedy="Make it again with heedful quantize, or remove it."
    )
