"""Files are replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from heedful.checkpoint import replace_files, write_text, writing
from heedful.errors import HeedfulError, JobError, OutputError


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_new_files_come_in_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on the way"
    with replace_files(folder) as staging:
        (staging / "a").write_text("1")
        (staging / "b").write_text("1")
    with replace_files(folder) as staging:
        (staging / "b").write_text("2")
        (staging / "deep").mkdir()
        (staging / "deep" / "c").write_text("2")
    assert contents(folder) == {"a": "1", "b": "2", "deep/c": "2"}


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path, failure: BaseException) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises((type(failure), JobError)), replace_files(tmp_path) as staging:
        (staging / "a").write_text("new, and half")
        raise failure
    assert contents(tmp_path) == {"a": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("number", "kind", "exit_code"),
    [
        (errno.ENOSPC, JobError, 1),
        (errno.EDQUOT, JobError, 1),
        (errno.EFBIG, JobError, 1),
        (errno.EROFS, OutputError, 2),
        (errno.EACCES, OutputError, 2),
        (errno.EPERM, OutputError, 2),
        (errno.ENOTDIR, OutputError, 2),
        (errno.ENAMETOOLONG, OutputError, 2),
    ],
)
def test_what_the_system_refuses_is_our_error(number: int, kind: type[HeedfulError], exit_code: int) -> None:
    with pytest.raises(kind) as caught, writing(Path("some/folder")):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == exit_code
    assert "some/folder" in caught.value.message
    assert os.strerror(number) in caught.value.message
    assert caught.value.remedy


def test_a_full_disk_at_the_last_moment_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems report a full disk only when the data are synchronised."""
    write_text(tmp_path / "a", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobError):
        write_text(tmp_path / "a", "new")
    assert contents(tmp_path) == {"a": "old"}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="cannot write to"):
            write_text(place / "a", "new")
    assert contents(tmp_path) == {"file": "mine"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that refuses even root")
def test_a_place_where_nobody_may_write_is_refused() -> None:
    with pytest.raises(OutputError, match="cannot write to /proc"):
        write_text(Path("/proc/heedful/a"), "new")
