"""PyTorch's pickles, for those who allow them: tensors only, and nothing that the file does not hold.

``torch.load(weights_only=True)`` runs no code of a pickle, yet it may build what claims to be large or takes forever.
So the pickle's program is looked through first: it may name a handful of builders, and the tree that it builds is
bounded. The file is mapped, and no tensor may claim more than the file holds.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from heedful.checkpoint.pickle_archive import read_archive, refused

BUILDERS = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "ComplexFloat")),
        *(f"torch {kind}Storage" for kind in ("Long", "Int", "Short", "Char", "Byte", "Bool")),
    }
)
"""All that the pickle of a state dict names: dense tensors, and the ordered dict they stand in."""
MAX_DEPTH = 1000
MAX_REPETITION = 16
"""How often, on average, what was built once may be used."""

_NAMING = frozenset({"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"})
"""Steps that name or make objects in ways that PyTorch does not use."""

_MARK = (-1, -1)


class PickleFile:
    """The tensors of a ``pytorch_model.bin`` or one of its shards."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            CheckpointError: the file is not a zip archive of PyTorch, holds anything else than plain tensors by
                name, or claims more than it has.
        """
        self.path = path
        program, sizes = read_archive(path)
        _check_program(path, program)
        try:
            content = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
        except Exception as error:  # of any kind; their text advises to run the pickle's code
            raise refused(path, f"PyTorch does not read it as tensors only ({type(error).__name__})") from error
        if not isinstance(content, dict):
            raise refused(path, f"it holds a {type(content).__name__}, not tensors by name")
        self.tensors: dict[str, Tensor] = {}
        for name, tensor in content.items():
            if not isinstance(name, str) or not isinstance(tensor, Tensor):
                raise refused(path, f"its entry {name!a:.200} is a {type(tensor).__name__}, not a tensor")
            self.tensors[name] = tensor.detach()
        self._check_claims(sizes)

    def read(self, name: str) -> Tensor:
        """The tensor ``name``, as a view of the mapped file."""
        return self.tensors[name]

    def _check_claims(self, sizes: Collection[int]) -> None:
        """No tensor is larger than its storage, no storage other than its member, and all not larger than these."""
        claims, known = {}, set(sizes)
        for name, tensor in self.tensors.items():
            storage = tensor.untyped_storage()
            if tensor.nbytes > storage.nbytes():
                raise refused(
                    self.path,
                    f"the tensor {name!a:.200} {tuple(tensor.shape)} claims {tensor.nbytes:,} bytes, "
                    f"and the file holds {storage.nbytes():,} for it",
                )
            if storage.nbytes() not in known:
                raise refused(self.path, f"the tensor {name!a:.200} lies in {storage.nbytes():,} bytes of no member")
            claims[tensor.data_ptr(), tensor.shape, tensor.stride()] = tensor.nbytes
        if sum(claims.values()) > sum(sizes):
            raise refused(self.path, f"its tensors claim {sum(claims.values()):,} bytes, and it holds {sum(sizes):,}")


def _check_program(path: Path, program: bytes) -> None:
    """Look through a pickle without running it: what it names, and how large and deep the tree is that it builds."""
    stack: list[tuple[int, int]] = []  # of each object its number of parts, repetitions counted, and its depth
    memo: dict[int, tuple[int, int]] = {}
    steps = 0
    try:
        for opcode, argument, _ in pickletools.genops(program):
            steps += 1
            if opcode.name in _NAMING or (opcode.name == "GLOBAL" and argument not in BUILDERS):
                name = str(argument).replace(" ", ".") if opcode.name in ("GLOBAL", "INST") else opcode.name
                raise refused(path, f"the pickle wants to use {name!a:.200}, and only plain tensors are read")
            if "PUT" in opcode.name:
                memo[int(argument or 0)] = stack[-1]
            elif "GET" in opcode.name:
                stack.append(memo[int(argument or 0)])
            else:
                _step(opcode, stack)
            parts, depth = stack[-1] if stack else (0, 0)
            if depth > MAX_DEPTH or parts > MAX_REPETITION * (steps + 1000):
                raise refused(path, "the pickle builds what is too deep or repeats itself too often")
    except (ValueError, LookupError) as error:
        raise refused(path, f"its pickle is damaged: {error}") from error


def _step(opcode: pickletools.OpcodeInfo, stack: list[tuple[int, int]]) -> None:
    """Take from the stack what a step takes, and put there what it makes of that."""
    taken = [item for item in opcode.stack_before if item is not pickletools.stackslice]
    used = []
    if pickletools.markobject in taken:
        while (item := stack.pop()) != _MARK:
            used.append(item)
        taken = taken[: taken.index(pickletools.markobject)]
    used += [stack.pop() for _ in taken]
    made = (1 + sum(parts for parts, _ in used), 1 + max((depth for _, depth in used), default=-1))
    stack += [_MARK if kind is pickletools.markobject else made for kind in opcode.stack_after]
