"""The files of a tokenizer, read without trust."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from heedful.errors import CheckpointError, HeedfulError
from heedful.files import read_bytes as _read_bytes
from heedful.files import read_json as _read_json
from heedful.files import read_text as _read_text

MAX_BYTES = 256 * 2**20
"""Of one file. The largest vocabularies in use, of 256 thousand tokens, take about 35 MB as tokenizer.json."""

read_bytes = partial(_read_bytes, max_bytes=MAX_BYTES)
read_text = partial(_read_text, max_bytes=MAX_BYTES)
read_json = partial(_read_json, max_bytes=MAX_BYTES)


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
        raise CheckpointError(
            f"{name} is not a tokenizer that can be used: {error}", remedy="Take an intact copy of the file."
        ) from error
