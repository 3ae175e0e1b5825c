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
            _check(file, table.schema_arrow, columns)
            wanted = list(columns) or None
            yield from _rows(file, table.schema_arrow, table.iter_batches(BATCH_ROWS, columns=wanted))


def read_arrow(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    """Rows of an Arrow stream; only ``columns`` are read, if any are named."""
    with opened(file) as stream, pa.ipc.open_stream(stream) as batches:
        _check(file, batches.schema, columns)
        wanted = [name for name in batches.schema.names if not columns or _is_wanted(name, columns)]
        parts = (
            batch.select(wanted).slice(start, BATCH_ROWS)
            for batch in batches
            for start in range(0, batch.num_rows, BATCH_ROWS)
        )
        yield from _rows(file, batches.schema, parts)


def _check(file: DataFile, schema: pa.Schema, columns: Collection[str]) -> None:
    inner = {field.name: _inner(field.type) for field in schema if pa.types.is_struct(field.type)}
    check_columns(file, schema.names, columns, inner)


def _inner(struct: pa.StructType) -> dict[str, Any]:
    """The names within a column of objects."""
    return {field.name: _inner(field.type) if pa.types.is_struct(field.type) else "" for field in struct}


def _is_wanted(name: str, columns: Collection[str]) -> bool:
    return any(column == name or column.startswith(f"{name}.") for column in columns)


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
