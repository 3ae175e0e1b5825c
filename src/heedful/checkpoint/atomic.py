"""Writing into a folder so that a failure leaves what was there before."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heedful.errors import JobError, OutputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while ``path`` is written into our errors.

    Raises:
        JobError: the disk is full.
        OutputError: the place is read-only, forbidden or not a folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise JobError(
                f"the disk filled up while writing {path}: {error.strerror}",
                remedy="Free some space and run again; what was saved before is untouched.",
            ) from error
        raise OutputError(
            f"cannot write to {path}: {error.strerror or error}",
            remedy="Choose a folder that you may write to.",
        ) from error


@contextmanager
def replace_files(folder: Path) -> Iterator[Path]:
    """Collect files in a staging folder beside ``folder`` and move them in when all are complete.

    Everything that can fail for want of space happens in the staging folder; the moves that follow are
    renames within one file system. Files of ``folder`` that were not written again stay. A failure inside
    the block removes the staging folder and leaves ``folder`` as it was.

    Yields:
        The staging folder, empty.

    Raises:
        JobError, OutputError: as :func:`writing`.
    """
    with writing(folder):
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
        try:
            yield staging
            files = sorted(path for path in staging.rglob("*") if path.is_file())
            for file in files:
                _synchronise(file)
            for file in files:
                target = folder / file.relative_to(staging)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, target)  # noqa: PTH105 - Path.replace is the same call
            _synchronise(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()


def write_text(path: Path, text: str) -> None:
    """Replace the text file ``path`` as a whole."""
    with replace_files(path.parent) as staging:
        (staging / path.name).write_text(text, encoding="utf-8")


def _synchronise(path: Path) -> None:
    """Ask the system to put ``path`` on the disk before it is renamed: a power cut must not leave it empty."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
