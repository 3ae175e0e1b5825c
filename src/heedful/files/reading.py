"""Files of strangers, read whole: inside their folder, regular, and bounded in size."""

from __future__ import annotations

from pathlib import Path

from heedful.errors import CheckpointError
from heedful.files.references import inside

_INTACT = "Take an intact copy of the file."


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """The content of a file.

    Raises:
        CheckpointError: the file is missing, no regular file, a link out of its folder, cannot be read, or is larger
            than ``max_bytes``.
    """
    file = inside(path.parent, path.name)
    try:
        if not file.is_file():
            raise CheckpointError(f"{path} does not exist", remedy="Give the folder of a run, such as runs/banking77.")
        if file.stat().st_size > max_bytes:
            raise CheckpointError(f"{path} is larger than {max_bytes:,} bytes", remedy=_INTACT)
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}", remedy="See to its permissions.") from error


def read_text(path: Path, *, max_bytes: int) -> str:
    """The content of a file as text; raises as :func:`read_bytes`, and where it is no UTF-8."""
    try:
        return read_bytes(path, max_bytes=max_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 text: {error}", remedy=_INTACT) from error
