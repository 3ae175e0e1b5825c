"""Names of files that a folder's own files give: they must stay inside the folder."""

from __future__ import annotations

import string
from pathlib import Path

from heedful.errors import CheckpointError
from heedful.hub import strange_character

FILE_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-_. ()+@,=/")
MAX_NAME_LENGTH = 255


def inside(folder: Path, name: str) -> Path:
    """The file ``name`` of ``folder``, proven to lie inside it; nothing is opened.

    Links are followed as long as they stay inside. The one exception is the cache of the Hugging Face Hub, whose
    snapshots are links into its folders ``blobs``.

    Raises:
        CheckpointError: the name is empty or absolute, holds ``..``, NUL, a percent sign, a backslash or another
            character that could be mistaken, or is a link that leads out.
    """
    if not isinstance(name, str) or not name or name.startswith("/"):
        raise _refused(folder, name, "is not the name of a file inside the folder")
    if len(name) > MAX_NAME_LENGTH:
        raise _refused(folder, name, f"has {len(name):,} characters, and {MAX_NAME_LENGTH} are the limit")
    if strange := strange_character(name, FILE_NAME_CHARACTERS):
        raise _refused(folder, name, f"holds {strange}")
    if ".." in name.split("/"):
        raise _refused(folder, name, "holds '..'")
    base = folder.resolve()
    try:
        target = (base / name).resolve()
    except (OSError, RuntimeError) as error:  # a circle of links
        raise _refused(folder, name, f"cannot be followed: {error}") from error
    if not any(target.is_relative_to(place) for place in (base, *_hub_blobs(base))):
        raise _refused(folder, name, f"is a link out of the folder, to {target}")
    return folder / name


def is_folder(source: str | Path) -> bool:
    """Whether ``source`` is a folder, for any text: what cannot be a path is none."""
    try:
        return bool(str(source)) and Path(source).is_dir()
    except (OSError, ValueError):  # too long, or with NUL inside
        return False


def _hub_blobs(snapshot: Path) -> tuple[Path, ...]:
    """Where the Hub's cache keeps the content of a snapshot's files: ``models--owner--name/snapshots/revision``."""
    repository = snapshot.parent.parent
    if snapshot.parent.name != "snapshots" or not repository.name.startswith("models--"):
        return ()
    return repository / "blobs", repository.parent / "blobs"


def _refused(folder: Path, name: object, fault: str) -> CheckpointError:
    return CheckpointError(
        f"{folder} refers to the file {name!a:.200}, which {fault}",
        remedy="Nothing outside a model's folder is opened. If the file is meant, copy it into the folder.",
    )
