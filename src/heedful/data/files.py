"""Opening files, packed or not, and cutting them into lines of bounded length."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from heedful.data.source import Compression, DataFile
from heedful.errors import DataError, JobError

MAX_LINE_BYTES = 8_000_000
"""A longer line is no row but an accident, and would fill the memory."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@contextmanager
def opened(file: DataFile) -> Iterator[io.BufferedReader]:
    """The unpacked bytes of a file, from the beginning.

    Raises:
        DataError: the file cannot be opened, or later, its packed bytes are damaged or end too soon.
    """
    with readable(file), ExitStack() as stack:
        if file.path is None:
            yield sys.stdin.buffer  # type: ignore[misc]  # a BufferedReader, though typed more loosely
            return
        stream: Any = stack.enter_context(file.path.open("rb"))
        if file.compression is Compression.GZIP:
            stream = io.BufferedReader(stack.enter_context(gzip.open(stream)))
        elif file.compression is Compression.ZSTD:
            stream = io.BufferedReader(stack.enter_context(pa.CompressedInputStream(stream, "zstd")))
        yield stream


@contextmanager
def readable(file: DataFile) -> Iterator[None]:
    """Turn what the system and the libraries raise while ``file`` is read into a DataError."""
    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        refused = isinstance(error, OSError) and error.strerror is not None
        fault = "cannot be read" if refused else "is damaged, or was not copied to its end"
        raise DataError(
            f"{file} {fault}: {getattr(error, 'strerror', None) or error}",
            remedy="Check the path and its permissions." if refused else "Copy or download it again.",
        ) from error


@contextmanager
def spooling(folder: Path) -> Iterator[None]:
    """Turn what the system raises while a temporary file is written into a JobError."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # of a library that reads, not of the system
            raise
        raise JobError(
            f"the data cannot be kept in {folder}: {error.strerror or error}",
            remedy="Free some space there, or name a folder with more in the variable TMPDIR.",
        ) from error


class Lines:
    """The lines of a stream as text, numbered from 1.

    What is wrong with a line is kept until it is taken, so that a reader whose rows span lines can take it for
    the whole row.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.number = 0
        self._stream = stream
        self._fault: str | None = None
        self._utf8 = False
        """Whether a line so far could be nothing but UTF-8."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE_BYTES:
            self._fault = f"is longer than {MAX_LINE_BYTES:,} bytes, the most that a line may have"
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = self._stream.readline(MAX_LINE_BYTES)
            return ""
        if self.number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            found = f"byte 0x{line[error.start]:02x}, byte {error.start + 1} of line {self.number:,}"
            mixed = ", though lines above are UTF-8: the file mixes encodings" if self._utf8 else ""
            self._fault = f"is not valid UTF-8: {found}{mixed}"
            return line.decode(errors="replace")
        self._utf8 = self._utf8 or not text.isascii()
        if "\0" in text:
            self._fault = "holds a NUL byte, which no text does; is it UTF-16, or no text at all?"
        return text

    def take_fault(self) -> str | None:
        """What was wrong since the last call, None for nothing."""
        fault, self._fault = self._fault, None
        return fault
