"""Rows of files that hold tables: parquet, and the Arrow streams of Hugging Face's ``datasets``."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from heedful.data.files import opened, readable, spooling
from heedful.data.rows import Row, check_columns
from heedful.data.source import Compression, DataFile

BATCH_ROWS = 1024
"""Rows held in memory at once."""


def read_parquet(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    """Rows of a parquet file; only ``columns`` are read, if any are named."""
    with tempfile.TemporaryFile() as unpacked:
        place: Any = file.path
        if file.compression is not Compression.NONE or file.path is None:
            # A parquet file is read from its end, so a stream has to be kept first.
            with opened(file) as stream, spooling(Path(tempfile.gettempdir())):
                shutil.copyfileobj(stream, unpacked)
            place = unpacked
        with readable(file), pq.ParquetFile(place) as table:
            wanted = _wanted(file, table.schema_arrow, columns)
            yield from _rows(file, table.schema_arrow, table.iter_batches(BATCH_ROWS, columns=wanted))


def read_arrow(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    """Rows of an Arrow stream; only ``columns`` are read, if any are named."""
    with opened(file) as stream, pa.ipc.open_stream(stream) as batches:
        wanted = _wanted(file, batches.schema, columns)
        parts = (
            batch.select(wanted).slice(start, BATCH_ROWS)
            for batch in batches
            for start in range(0, batch.num_rows, BATCH_ROWS)
        )
        yield from _rows(file, batches.schema, parts)


def _wanted(file: DataFile, schema: pa.Schema, columns: Collection[str]) -> list[str]:
    check_columns(file, schema.names, columns)
    return [name for name in schema.names if not columns or name in columns]


def _rows(file: DataFile, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[Row]:
    classes = _class_names(schema)
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            for column in classes.keys() & values.keys():
                values[column] = _named(values[column], classes[column])
            yield Row(str(file), number, values, unit="row")


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names behind the numbers of columns whose type in ``datasets`` is ``ClassLabel``, or a list of it."""
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = metadata.get("info", {}).get("features", {})
    inner = {column: feature.get("feature", feature) for column, feature in features.items()}
    return {column: feature["names"] for column, feature in inner.items() if feature.get("_type") == "ClassLabel"}


def _named(value: Any, names: Sequence[str]) -> Any:
    """The name of a class number, or of each in a list; None for -1, which ``datasets`` writes for no label."""
    if isinstance(value, list):
        return [_named(part, names) for part in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
