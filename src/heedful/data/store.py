"""Examples on disk, in flat memory and at random access."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from heedful.data.examples import Example
from heedful.data.files import spooling

_SCHEMA = pa.schema(
    {
        "text": pa.large_string(),
        "pair": pa.large_string(),
        "labels": pa.list_(pa.string()),
        "row": pa.int64(),
        "file": pa.string(),
        "target": pa.large_string(),
        "target_language": pa.string(),
    }
)
_CHUNK = 1024
"""Examples in one record batch; the place of an example follows from its number."""


class ExampleStore:
    """Examples, written once into a memory-mapped Arrow file of the temporary folder.

    The file is removed when the store is closed or forgotten, or the process ends.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        """Raises JobError where the temporary folder is full, and what ``examples`` raise."""
        with spooling(Path(tempfile.gettempdir())):
            self._folder = tempfile.TemporaryDirectory(prefix="heedful-")
            path = Path(self._folder.name) / "examples.arrow"
            self._length = _write(path, examples)
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        number, place = divmod(index % len(self), _CHUNK)
        return _example(column[place].as_py() for column in self._batches[number].columns)

    def __iter__(self) -> Iterator[Example]:
        for batch in self._batches:
            yield from map(_example, zip(*(column.to_pylist() for column in batch.columns), strict=True))

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> list[Example]:
        """The examples at ``indices``, in that order."""
        return [self[int(index)] for index in indices]

    def spread(self, count: int | None) -> list[Example]:
        """So many examples, evenly spread, all unless given: files are often sorted by label."""
        count = min(len(self), count or len(self))
        return self.take(np.arange(count) * len(self) // max(count, 1))

    def chunks(self, size: int) -> Iterator[list[Example]]:
        """All examples in turn, at most ``size`` of them at a time."""
        for start in range(0, len(self), size):
            yield self.take(range(start, min(start + size, len(self))))

    def texts(self, max_characters: int = 50_000_000) -> Iterator[str]:
        """Everything that is read or written, to train a tokenizer on: texts, their pairs and targets.

        All of them, or about so many characters, spread over the data.
        """
        return self._values(("text", "pair", "target"), max_characters)

    def sources(self, max_characters: int = 50_000_000) -> Iterator[str]:
        """What is read, texts and their pairs, as in :meth:`texts`: for a vocabulary of its own."""
        return self._values(("text", "pair"), max_characters)

    def targets(self, max_characters: int = 50_000_000) -> Iterator[str]:
        """What is to be written, as in :meth:`texts`: for a vocabulary of its own."""
        return self._values(("target",), max_characters)

    def languages(self) -> tuple[str, ...]:
        """The languages that targets are said to be in, in the order of the alphabet."""
        found = {code for batch in self._batches for code in pc.unique(batch.column("target_language")).to_pylist()}
        return tuple(sorted(found - {None}))

    def _values(self, names: Sequence[str], max_characters: int) -> Iterator[str]:
        columns = [batch.column(name) for batch in self._batches for name in names]
        total = sum(pc.sum(pc.utf8_length(column)).as_py() or 0 for column in columns)
        rows = (
            row for batch in self._batches for row in zip(*(batch[name].to_pylist() for name in names), strict=True)
        )
        for row in islice(rows, None, None, max(1, -(-total // max_characters))):
            yield from (value for value in row if value is not None)

    def close(self) -> None:
        """Remove the file; the store is empty from then on."""
        self._batches, self._length = [], 0
        self._folder.cleanup()

    def __enter__(self) -> ExampleStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _example(values: Iterable[Any]) -> Example:
    text, pair, labels, *others = values
    return Example(text, pair, tuple(labels), *others)


def _write(path: Path, examples: Iterable[Example]) -> int:
    """Write the examples and say how many they are."""
    iterator, length = iter(examples), 0
    with path.open("wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        while chunk := list(islice(iterator, _CHUNK)):
            columns = [list(column) for column in zip(*chunk, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            length += len(chunk)
    return length
