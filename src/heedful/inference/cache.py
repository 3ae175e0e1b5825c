"""What took long to make is kept for the next time, in a folder that belongs to the user alone: it may be code."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

SUMS_FILE = "sha256"
"""Tells a folder that is whole from one that is damaged, which a loader of code cannot."""


def cache_folder() -> Path:
    """Where it is: ``HEEDFUL_CACHE``, or ``heedful`` in the user's folder of caches."""
    own = os.environ.get("HEEDFUL_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heedful"


def keep(made: Path, folder: Path) -> None:
    """Copy the files of a folder, as a whole or not at all; where nothing can be written, that costs time, no more."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.parent.chmod(0o700)
        with tempfile.TemporaryDirectory(dir=folder.parent) as staging:
            copied = Path(staging) / "made"
            shutil.copytree(made, copied)
            (copied / SUMS_FILE).write_text(_sums(copied), encoding="ascii")
            for path in (copied, *copied.iterdir()):
                path.chmod(0o700 if path.is_dir() else 0o600)
            shutil.rmtree(folder, ignore_errors=True)
            copied.rename(folder)
    except OSError:
        return


def is_own(folder: Path) -> bool:
    """Whether a folder holds what was kept there, all of it, and nobody but this user can have written it."""
    try:
        told = [path.lstat() for path in (folder.parent, folder, *folder.iterdir())]
        if hasattr(os, "getuid") and any(one.st_uid != os.getuid() or one.st_mode & 0o022 for one in told):
            return False
        return (folder / SUMS_FILE).read_text(encoding="ascii") == _sums(folder)
    except (OSError, ValueError):
        return False


def _sums(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.name != SUMS_FILE)
    return "".join(f"{_sum(path)}  {path.name}\n" for path in files)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
