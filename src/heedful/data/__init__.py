"""Data: reading it, keeping it on disk, and cutting it into batches."""

from __future__ import annotations

from heedful.data.batches import pad_batch, padding_share, token_budget_batches
from heedful.data.examples import BadRows, Columns, Example, ExampleReader, LabelKind, OnBadRow, read_examples
from heedful.data.store import ExampleStore

__all__ = [
    "BadRows",
    "Columns",
    "Example",
    "ExampleReader",
    "ExampleStore",
    "LabelKind",
    "OnBadRow",
    "pad_batch",
    "padding_share",
    "read_examples",
    "token_budget_batches",
]
