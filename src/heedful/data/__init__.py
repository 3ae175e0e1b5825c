"""Data: reading it, keeping it on disk, and cutting it into batches."""

from __future__ import annotations

from heedful.data.bad_rows import BadRows, OnBadRow
from heedful.data.batches import pad_batch, padding_share, token_budget_batches
from heedful.data.examples import Columns, Example, ExampleReader, LabelKind, read_examples
from heedful.data.readers import read_rows
from heedful.data.rows import Row
from heedful.data.source import AlignedFiles, Compression, DataFile, Format, Source
from heedful.data.store import ExampleStore

__all__ = [
    "AlignedFiles",
    "BadRows",
    "Columns",
    "Compression",
    "DataFile",
    "Example",
    "ExampleReader",
    "ExampleStore",
    "Format",
    "LabelKind",
    "OnBadRow",
    "Row",
    "Source",
    "pad_batch",
    "padding_share",
    "read_examples",
    "read_rows",
    "token_budget_batches",
]
