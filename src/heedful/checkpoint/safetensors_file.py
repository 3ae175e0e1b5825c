"""The safetensors format, read without trust: the header is proven before anything is made of it.

The format is 8 bytes that count the header's bytes (little-endian), the header in JSON, and then the tensors' bytes
without gap or overlap. Tensors are views of the mapped file, so reading one costs what its values cost.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from heedful.errors import CheckpointError
from heedful.files import parse_json

MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library too."""
MAX_DIMENSIONS = 8
METADATA = "__metadata__"
DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


@dataclass(frozen=True)
class StoredTensor:
    """Where the bytes of a tensor lie in its file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    """Counted from the first byte after the header."""
    end: int


class SafetensorsFile:
    """A safetensors file whose header has been read and proven."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            CheckpointError: the file is not a whole and consistent safetensors file; the message names the tensor.
        """
        self.path = path
        self.size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > self.size - 8:
                raise self._damaged(f"it is {self.size:,} bytes long, too short for its header: it may be truncated")
            if length > MAX_HEADER_BYTES:
                raise self._damaged(f"its header claims {length:,} bytes, and {MAX_HEADER_BYTES:,} are the limit")
            header = stream.read(length)
        if not header.startswith(b"{"):
            raise self._damaged(f"its header begins with {header[:16]!r}, not with '{{'")
        self.data_begins = 8 + length
        entries = parse_json(header, name=f"the header of {path}")
        self._check_metadata(entries.pop(METADATA, {}))
        self.tensors = {name: self._entry(name, entry) for name, entry in entries.items()}
        self._check_layout()

    def read(self, name: str) -> Tensor:
        """The tensor ``name``, a view of its part of the file, which is mapped as long as the tensor is there.

        A change to it stays in memory and never reaches the file.
        """
        stored = self.tensors[name]
        if stored.begin == stored.end:
            return torch.empty(stored.shape, dtype=stored.dtype)
        begin, end = self.data_begins + stored.begin, self.data_begins + stored.end
        page = begin - begin % mmap.ALLOCATIONGRANULARITY
        with self.path.open("rb") as stream:
            mapped = mmap.mmap(stream.fileno(), end - page, access=mmap.ACCESS_COPY, offset=page)
        content = torch.frombuffer(mapped, dtype=torch.uint8, offset=begin - page)
        if begin % stored.dtype.itemsize:
            content = content.clone()
        return content.view(stored.dtype).reshape(stored.shape)

    def _entry(self, name: str, entry: object) -> StoredTensor:
        match entry:
            case {"dtype": str(code), "shape": list(shape), "data_offsets": [begin, end], **others} if (
                not others and all(_is_count(number) for number in (*shape, begin, end))
            ):
                pass
            case _:
                raise self._damaged(f"the entry of the tensor {name!a:.200} is malformed: {entry!a:.200}")
        if code not in DTYPES:
            raise self._damaged(f"the tensor {name!a:.200} has the dtype {code!a:.40}, not one of {', '.join(DTYPES)}")
        if len(shape) > MAX_DIMENSIONS:
            raise self._damaged(
                f"the tensor {name!a:.200} has {len(shape):,} dimensions, and {MAX_DIMENSIONS} are the limit"
            )
        dtype = DTYPES[code]
        needed = math.prod(shape) * dtype.itemsize
        if end - begin != needed or math.prod(max(number, 1) for number in shape) >= 2**60:
            raise self._damaged(
                f"the tensor {name!a:.200} {code} {_numbers(shape)} needs {_number(needed)} bytes, "
                f"and its place from {_number(begin)} to {_number(end)} holds {_number(end - begin)}"
            )
        return StoredTensor(dtype, tuple(shape), begin, end)

    def _check_metadata(self, metadata: Any) -> None:
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise self._damaged(f"its {METADATA} is not an object of texts: {metadata!a:.200}")

    def _check_layout(self) -> None:
        """Every byte after the header belongs to exactly one tensor."""
        reached = 0
        for name, stored in sorted(self.tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
            if stored.begin != reached:
                fault = "overlaps the one before" if stored.begin < reached else "leaves a hole before it"
                raise self._damaged(
                    f"the tensor {name!a:.200} {fault}: it begins at {_number(stored.begin)}, not at {reached:,}"
                )
            reached = stored.end
        present = self.size - self.data_begins
        if reached != present:
            fault = "it is truncated" if reached > present else "it has trailing bytes"
            raise self._damaged(f"{fault}: its tensors take {_number(reached)} bytes, and {present:,} are there")

    def _damaged(self, fault: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path} is not a whole safetensors file: {fault}",
            remedy="Copy or download the file again, or save the model again.",
        )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _number(value: int) -> str:
    return f"{value:,}" if abs(value) < 2**63 else "more than 2^63"


def _numbers(values: list[int]) -> str:
    return f"({', '.join(_number(value) for value in values)})"
