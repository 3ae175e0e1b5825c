"""The zip archive in which PyTorch keeps a pickle and its tensors, proven before PyTorch opens it.

A zip archive says the same thing in several places, and two readers may believe different ones. What is allowed
here is what ``torch.save`` writes: nothing compressed, one directory at the very end, every name once. Then all
readers see the same members, and none can unpack to more than the file holds.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from heedful.errors import CheckpointError

MAX_DIRECTORY_BYTES = 16_000_000
MAX_PICKLE_BYTES = 4_000_000
"""Of the pickle without the tensors' values: some hundred bytes a tensor."""

_ENCRYPTED = 1
_ZIP_64_FIELD = b"\x01\x00"
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQ2H2I4Q")


def read_archive(path: Path) -> tuple[bytes, list[int]]:
    """Prove the archive and read its pickle.

    Returns:
        The pickle, and the sizes in bytes of the members that hold tensors' values.

    Raises:
        CheckpointError: the file is no such archive, or something about it is not as ``torch.save`` writes it.
    """
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members)
            root = members[0].filename.partition("/")[0]
            content = archive.read(f"{root}/data.pkl")
    except (zipfile.BadZipFile, struct.error, LookupError, ValueError, OSError, EOFError, RuntimeError) as error:
        raise refused(path, f"its zip archive is damaged: {str(error) or type(error).__name__}") from error
    return content, [member.file_size for member in members if member.filename.startswith(f"{root}/data/")]


def refused(path: Path, fault: str) -> CheckpointError:
    """The error for a pickle that is not read."""
    return CheckpointError(
        f"{path} is refused: {fault}",
        remedy="Take a version with model.safetensors; or, where you trust this file, load it with PyTorch, "
        "and save its plain tensors again.",
    )


def _check_directory(path: Path) -> None:
    """The directory's end is the file's end, and each part begins where the one before it ends."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            raise refused(path, "it is no zip archive, as PyTorch writes since version 1.6, but older or no pickle")
        tail_size = min(size, _END_64.size + _LOCATOR.size + _END.size)
        stream.seek(size - tail_size)
        tail = stream.read().rjust(_END_64.size + _LOCATOR.size + _END.size, b"\0")
    signature, *_, length, offset, comment = _END.unpack(tail[-_END.size :])
    if signature != b"PK\x05\x06" or comment:
        raise refused(path, "it does not end with a zip directory: it may be truncated")
    directory_ends = size - _END.size
    locator, _, located, _ = _LOCATOR.unpack(tail[-_END.size - _LOCATOR.size : -_END.size])
    if locator == b"PK\x06\x07":
        directory_ends -= _LOCATOR.size + _END_64.size
        signature, *_, length, offset = _END_64.unpack(tail[: _END_64.size])
        if signature != b"PK\x06\x06" or located != directory_ends:
            raise refused(path, "its zip directory is said to be in two places")
    if offset + length != directory_ends:
        raise refused(path, "there is a gap around its zip directory")
    if length > MAX_DIRECTORY_BYTES:
        raise refused(path, f"its zip directory takes {length:,} bytes, and {MAX_DIRECTORY_BYTES:,} are the limit")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    size = path.stat().st_size
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise refused(path, f"its members claim {claimed:,} bytes, and the file has {size:,}")
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise refused(path, f"its member {name!a:.200} is compressed")
        if member.flag_bits & _ENCRYPTED or name != member.orig_filename or not _is_plain(member.extra):
            raise refused(path, f"its member {name!a:.200} is not as PyTorch writes it")
        if name.casefold() in seen:
            raise refused(path, f"it has the member {name!a:.200} twice")
        if name.endswith("/data.pkl") and member.file_size > MAX_PICKLE_BYTES:
            raise refused(path, f"its pickle has {member.file_size:,} bytes, and {MAX_PICKLE_BYTES:,} are the limit")
        seen.add(name.casefold())


def _is_plain(extra: bytes) -> bool:
    """Whether there are no extra fields, or one alone with the sizes of a large member."""
    return not extra or (extra[:2] == _ZIP_64_FIELD and len(extra) == 4 + int.from_bytes(extra[2:4], "little"))
