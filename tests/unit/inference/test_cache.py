"""What is kept is found again whole, or not at all where it is damaged or others could have written it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from heedful.inference.cache import SUMS_FILE, is_own, keep


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "network").write_bytes(b"machine code")
    before = os.umask(0o002)  # of many systems: groups may write
    try:
        keep(tmp_path / "made", tmp_path / "cache" / "engine" / "one")
    finally:
        os.umask(before)
    return tmp_path / "cache" / "engine" / "one"


def test_what_is_kept_is_for_its_user_alone(kept: Path) -> None:
    assert is_own(kept)
    assert sorted(path.name for path in kept.iterdir()) == ["network", SUMS_FILE]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept.parent, kept)] == [0o700, 0o700]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.iterdir()} == {0o600}
    assert [path.name for path in kept.parent.iterdir()] == ["one"]  # nothing of the making is left


def lead_elsewhere(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


HARM: dict[str, Callable[[Path], object]] = {
    "cut off": lambda folder: (folder / "network").write_bytes(b"machine"),
    "other bytes": lambda folder: (folder / "network").write_bytes(b"machine c0de"),
    "a file is gone": lambda folder: (folder / "network").unlink(),
    "a file too many": lambda folder: (folder / "another").write_bytes(b""),
    "no sums": lambda folder: (folder / SUMS_FILE).unlink(),
    "sums that are no text": lambda folder: (folder / SUMS_FILE).write_bytes(b"\xff"),
    "a group may write the file": lambda folder: (folder / "network").chmod(0o660),
    "all may write the folder": lambda folder: folder.chmod(0o777),
    "all may put folders beside it": lambda folder: folder.parent.chmod(0o777),
    "it leads elsewhere": lambda folder: lead_elsewhere(folder / "network"),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_what_is_damaged_or_open_to_others_is_not_read(kept: Path, harm: Callable[[Path], object]) -> None:
    harm(kept)
    assert not is_own(kept)


def test_what_belongs_to_another_is_not_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: kept.stat().st_uid + 1)
    assert not is_own(kept)


def test_what_is_kept_takes_the_place_of_what_was(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "made" / "network").write_bytes(b"other code")
    keep(tmp_path / "made", kept)
    assert is_own(kept)
    assert (kept / "network").read_bytes() == b"other code"
