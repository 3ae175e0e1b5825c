"""The files of a tokenizer, read without trust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from heedful.errors import CheckpointError, HeedfulError

MAX_BYTES = 256 * 2**20
"""Of one file. The largest vocabularies in use, of 256 thousand tokens, take about 35 MB as tokenizer.json."""
MAX_DEPTH = 64
_INTACT = "Take an intact copy of the file."


def read_bytes(file: Path) -> bytes:
    """The content of a file of the tokenizer.

    Raises:
        CheckpointError: it does not exist, is no regular file, cannot be read or is larger than ``MAX_BYTES``.
    """
    try:
        if not file.is_file():
            raise CheckpointError(f"there is no file {file}", remedy="Give the folder of a complete tokenizer.")
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise CheckpointError(f"{file} has {size:,} bytes, and {MAX_BYTES:,} are the limit", remedy=_INTACT)
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{file} cannot be read: {error}", remedy="See to the permissions of the file."
        ) from error


def read_text(file: Path) -> str:
    """The content of a file as text; raises as :func:`read_bytes`, and where it is no UTF-8."""
    try:
        return read_bytes(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{file} is not UTF-8 text: {error}", remedy=_INTACT) from error


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: as :func:`read_bytes`; or it is nested too deeply, or no JSON object.
    """
    return parse_json(read_text(file), name=str(file))


def parse_json(text: str, *, name: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} is not valid JSON: {error}", remedy=_INTACT) from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{name} holds a JSON {type(data).__name__}, not an object", remedy=_INTACT)
    return data


@contextmanager
def library_errors(name: str) -> Iterator[None]:
    """Turn every failure of the ``tokenizers`` library, its panics included, into an error that names ``name``."""
    try:
        yield
    except HeedfulError:
        raise
    except BaseException as error:
        # A panic of the library is a BaseException whose class cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"{name} is not a tokenizer that can be used: {error}", remedy=_INTACT) from error
