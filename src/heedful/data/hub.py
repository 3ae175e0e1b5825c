"""Data sets of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heedful.errors import DataError
from heedful.hub import Kind, download


def download_split(name: str, split: str, endings: Sequence[str]) -> Path:
    """Download the files of one split, or find them in the cache; see :func:`heedful.hub.download`.

    Args:
        name: ``owner/name``.
        split: ``split`` or ``subset/split``; files with it in their paths are taken.
        endings: of the files to take.

    Returns:
        A folder that holds them, and maybe others.

    Raises:
        DataError: there is no such data set, no permission, no network or nothing in the cache.
    """
    word = split.rpartition("/")[2]
    patterns = [f"*{word}*.{ending}{compression}" for ending in endings for compression in ("", ".gz", ".zst")]
    return download(name, Kind.DATA_SET, files=patterns, error=DataError)
