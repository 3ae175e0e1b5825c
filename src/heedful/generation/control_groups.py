"""What a container leaves of the memory: the limits of the control groups of Linux that this process is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class _Names(NamedTuple):
    """Where a version of control groups has its files, and how it calls them."""

    mount: str
    limit: str
    used: str
    page_cache: tuple[str, str]
    """Entries of ``memory.stat``: pages of files, which count as used, and are given up where memory is short."""


_VERSION_1 = _Names(
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_active_file", "total_inactive_file"),
)
_VERSION_2 = _Names("sys/fs/cgroup", "memory.max", "memory.current", ("active_file", "inactive_file"))


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes that the control groups of this process still grant it; None where none of them has a limit.

    The limits of all groups around a group hold for it too. A container may see its own group as the outermost one,
    under a path that is another's: what cannot be read is passed over.
    """
    granted = (_granted(folder, names) for folder, names in _groups(root))
    return min((size for size in granted if size is not None), default=None)


def _groups(root: Path) -> Iterator[tuple[Path, _Names]]:
    """The folder of each group that this process is in, from the inside out."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        names = _VERSION_1 if controllers else _VERSION_2
        group = PurePosixPath(path)
        for each in (group, *group.parents):
            yield root / names.mount / each.relative_to("/"), names


def _granted(folder: Path, names: _Names) -> int | None:
    limit = _read(folder / names.limit).strip()
    if not limit.isdecimal():  # "max", or no such file
        return None
    used = int(_read(folder / names.used).strip() or 0)
    entries = dict(line.split(maxsplit=1) for line in _read(folder / "memory.stat").splitlines())
    return max(int(limit) - used + sum(int(entries.get(name, 0)) for name in names.page_cache), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
