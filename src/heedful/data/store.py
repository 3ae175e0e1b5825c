"""Examples on disk, at random access."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from heedful.data.examples import Example
from heedful.text import Tokenizer

_SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("pair", pa.large_string()),
        ("labels", pa.list_(pa.string())),
        ("row", pa.int64()),
    ]
)
_CHUNK = 10_000


class ExampleStore:
    """Examples spooled once into a memory-mapped Arrow file of a temporary folder."""

    def __init__(self, examples: Iterable[Example]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="heedful-examples-")
        path = Path(self._folder.name) / "examples.arrow"
        iterator = iter(examples)
        with pa.ipc.new_file(str(path), _SCHEMA) as writer:
            while chunk := list(islice(iterator, _CHUNK)):
                columns = [list(column) for column in zip(*chunk, strict=True)]
                writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> Example:
        return self.take([index])[0]

    def __iter__(self) -> Iterator[Example]:
        for start in range(0, len(self), _CHUNK):
            yield from _examples(self._table.slice(start, _CHUNK))

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> list[Example]:
        """The examples at ``indices``, in that order."""
        return _examples(self._table.take(pa.array(indices, pa.int64())))

    def token_lengths(self, tokenizer: Tokenizer) -> NDArray[np.int32]:
        """Number of tokens of each example, special tokens included."""
        lengths = np.zeros(len(self), dtype=np.int32)
        for start in range(0, len(self), _CHUNK):
            chunk = _examples(self._table.slice(start, _CHUNK))
            pairs = (
                [example.pair or "" for example in chunk] if any(e.pair is not None for e in chunk) else None
            )
            encodings = tokenizer.encode_batch([example.text for example in chunk], pairs)
            lengths[start : start + len(chunk)] = [len(encoding) for encoding in encodings]
        return lengths

    def close(self) -> None:
        """Delete the temporary file."""
        self._table = self._table.slice(0, 0)
        self._folder.cleanup()

    def __enter__(self) -> ExampleStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _examples(table: pa.Table) -> list[Example]:
    columns = [table.column(name).to_pylist() for name in _SCHEMA.names]
    return [Example(text, pair, tuple(labels), row) for text, pair, labels, row in zip(*columns, strict=True)]
