"""Pickles: plain tensors are read, everything else is refused before it is built, and no code of theirs runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from heedful.checkpoint import StoredWeights, open_weights
from heedful.errors import CheckpointError

FILE = "pytorch_model.bin"


def open_pickle(folder: Path) -> StoredWeights:
    return open_weights(folder, allow_pickle=True)


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is refused: ") as caught:
        open_pickle(folder)
    assert caught.value.remedy
    assert caught.value.message.isprintable()
    return caught.value.message.partition(" is refused: ")[2]


def archive(path: Path, program: bytes, *, members: Mapping[str, bytes] | None = None) -> None:
    """Write an archive as PyTorch does, with any program."""
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("archive/data.pkl", program)
        written.writestr("archive/byteorder", b"little")
        for name, content in (members or {}).items():
            written.writestr(f"archive/data/{name}", content)
        written.writestr("archive/version", b"3\n")


def test_a_state_dict_comes_back(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    state: dict[str, torch.Tensor] = dict(module.state_dict())
    state |= {
        "tied": state["0.weight"],
        "parameter": nn.Parameter(torch.ones(2)),
        "turned": torch.arange(6.0).view(2, 3).t(),
        "slice": torch.arange(10)[2:5],
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(1.5, dtype=torch.float16),
    }
    for number, kind in enumerate((OrderedDict(state), state)):
        folder = tmp_path / str(number)
        folder.mkdir()
        torch.save(kind, folder / FILE)
        stored = open_pickle(folder)
        assert set(stored) == set(state)
        assert all(torch.equal(stored.tensor(name), tensor) for name, tensor in state.items())
        assert not any(stored.tensor(name).requires_grad for name in stored)


def test_the_state_dict_of_a_module_keeps_its_metadata_to_itself(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / FILE)
    assert set(open_pickle(tmp_path)) == {"weight", "bias"}


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda mark: Call(os.system, f"touch {mark}"), "system"),
        (lambda mark: Call(exec, f"open({str(mark)!r}, 'w')"), "exec"),
        (lambda mark: Call(open, str(mark), "w"), "open"),
        (lambda mark: Call(getattr, "text", "upper"), "getattr"),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_program_in_a_pickle_has_no_effect(
    tmp_path: Path, call: Callable[[Path], Call], name: str, protocol: int
) -> None:
    mark = tmp_path / "mark"
    program = pickle.dumps({"w": call(mark)}, protocol=protocol)
    archive(tmp_path / FILE, program)
    assert "wants to use" in (message := refusal(tmp_path))
    assert name in message or "STACK_GLOBAL" in message
    assert not mark.exists()
    pickle.loads(program)
    assert mark.exists() or name == "getattr", "the program would have had its effect"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: {"w": torch.zeros(1).expand(10**12)}, "claims 4,000,000,000,000 bytes, and the file holds 4 for it"),
        (lambda: {"w": torch.zeros(1).expand(2, 3)}, r"'w' \(2, 3\) claims 24 bytes, and the file holds 4 for it"),
        (lambda: {"w": torch.zeros(8).as_strided((4, 4), (1, 1))}, "claims 64 bytes, and the file holds 32 for it"),
        (lambda: {"w": torch.zeros(10**12, device="meta")}, "_rebuild_meta_tensor_no_storage"),
        (lambda: {"w": torch.sparse_coo_tensor(torch.zeros(1, 1), torch.ones(1), (10**12,))}, "_rebuild_sparse_tensor"),
        (lambda: {"w": torch.zeros(2, dtype=torch.float8_e4m3fn)}, "_rebuild_tensor_v3"),
        (lambda: {"w": nn.Linear(2, 2)}, "torch.nn.modules.linear.Linear"),
        (lambda: {"w": torch.zeros(2).untyped_storage()}, "UntypedStorage"),
        (lambda: {"state_dict": {"w": torch.zeros(2)}}, "its entry 'state_dict' is a dict, not a tensor"),
        (lambda: {"w": 3}, "its entry 'w' is a int, not a tensor"),
        (lambda: {3: torch.zeros(2)}, "its entry 3 is a Tensor, not a tensor"),
        (lambda: [torch.zeros(2)], "it holds a list, not tensors by name"),
        (lambda: torch.zeros(2), "it holds a Tensor, not tensors by name"),
    ],
)
def test_only_plain_tensors_of_their_own_size_are_read(
    tmp_path: Path, content: Callable[[], object], reason: str
) -> None:
    torch.save(content(), tmp_path / FILE)
    with pytest.raises(CheckpointError, match=reason):
        open_pickle(tmp_path)


def test_tensors_may_share_values_but_not_claim_more_than_there_are(tmp_path: Path) -> None:
    base = torch.arange(64.0)
    torch.save({"a": base, "tied": base, "also": base}, tmp_path / FILE)
    assert len(open_pickle(tmp_path)) == 3
    torch.save({str(start): base[start : start + 32] for start in range(32)}, tmp_path / FILE)
    assert "its tensors claim 4,096 bytes, and it holds 256" in refusal(tmp_path)


def test_a_storage_is_as_large_as_its_member(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(4), "v": torch.zeros(40)}, tmp_path / FILE)
    with zipfile.ZipFile(tmp_path / FILE) as saved:
        program = saved.read("pytorch_model/data.pkl")
    assert program.count(b"K\x04") == 2
    archive(tmp_path / FILE, program.replace(b"K\x04", b"K\x05"), members={"0": bytes(16), "1": bytes(160)})
    assert "the tensor 'w' lies in 20 bytes of no member" in refusal(tmp_path)
    archive(tmp_path / FILE, program, members={"0": bytes(16), "1": bytes(160)})
    assert set(open_pickle(tmp_path)) == {"w", "v"}


def test_a_pickle_of_old_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / FILE, _use_new_zipfile_serialization=False)
    assert "it is no zip archive, as PyTorch writes since version 1.6" in refusal(tmp_path)
    for content in (b"", b"PK", pickle.dumps({"w": 1})):
        (tmp_path / FILE).write_bytes(content)
        assert "it is no zip archive" in refusal(tmp_path)


def saved(tmp_path: Path) -> bytes:
    torch.save({"w": torch.arange(64.0), "v": torch.zeros(3)}, tmp_path / FILE)
    return (tmp_path / FILE).read_bytes()


def repacked(content: bytes, **options: Any) -> bytes:
    """The same members, written by Python."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", **options) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    return target.getvalue()


def with_member(content: bytes, name: str, data: bytes = b"") -> bytes:
    target = io.BytesIO(repacked(content))
    with zipfile.ZipFile(target, "a") as added:
        added.writestr(name, data)
    return target.getvalue()


def claiming(content: bytes, size: int) -> bytes:
    """The last member of the directory says that it has ``size`` bytes."""
    spoilt = bytearray(repacked(content))
    place = spoilt.rindex(b"PK\x01\x02")
    spoilt[place + 20 : place + 28] = struct.pack("<2I", size, size)
    return bytes(spoilt)


def beyond_the_end(content: bytes) -> bytes:
    """What stands before the pickle says that 65,535 bytes lie between."""
    spoilt = bytearray(content)
    spoilt[28:30] = b"\xff\xff"
    return bytes(spoilt)


def two_directories(content: bytes) -> bytes:
    """One that ends where Python looks for it, and one at the place that the file names."""
    spoilt = bytearray(content)
    place = spoilt.rindex(b"PK\x06\x07")
    spoilt[place + 8 : place + 16] = struct.pack("<Q", 100)
    return bytes(spoilt)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: repacked(content, compression=zipfile.ZIP_DEFLATED), "is compressed"),
        (lambda content: repacked(content, compression=zipfile.ZIP_BZIP2), "is compressed"),
        (lambda content: repacked(content, compression=zipfile.ZIP_LZMA), "is compressed"),
        (lambda content: with_member(content, "pytorch_model/data.pkl"), "twice"),
        (lambda content: with_member(content, "PyTorch_Model/DATA.pkl"), "twice"),
        (lambda content: claiming(content, 2**31), "its members claim 2,147,48.* bytes, and the file has"),
        (lambda content: claiming(content, 2**32 - 2), "its members claim"),
        (beyond_the_end, r"its zip archive is damaged: \w"),
        (two_directories, "is said to be in two places"),
        (lambda content: content + b"x", "does not end with a zip directory"),
        (lambda content: content[:-1], "does not end with a zip directory"),
        (lambda content: content[: len(content) // 2], "does not end with a zip directory"),
        (lambda content: b"PK\x03\x04" + repacked(content), "there is a gap around its zip directory"),
        (lambda content: content.replace(b"data.pkl", b"atad.pkl"), "its zip archive is damaged"),
        (lambda content: content.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"), "its zip archive is damaged"),
    ],
)
def test_an_archive_that_pytorch_would_not_write_is_refused(
    tmp_path: Path, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    (tmp_path / FILE).write_bytes(spoil(saved(tmp_path)))
    with pytest.raises(CheckpointError, match=reason):
        open_pickle(tmp_path)


def test_a_plain_archive_by_another_writer_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(repacked(saved(tmp_path)))
    assert torch.equal(open_pickle(tmp_path).tensor("w"), torch.arange(64.0))


PROLOGUE = b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (b"", "its pickle is damaged"),
        (b"\x80\x02}", "its pickle is damaged"),
        (b"\x80\x02s.", "its pickle is damaged"),
        (b"\x80\x02h\x05.", "its pickle is damaged"),
        (b"\x80\x02}q\x00(K\x01" + b"t" * 2 + b".", "its pickle is damaged"),
        (b"\xff\xff", "its pickle is damaged"),
        (PROLOGUE + b")" + b"\x85" * 1_000_000 + b"K\x01s.", "too deep or repeats itself"),
        (b"\x80\x02)" + b"q\x00h\x00\x86" * 60 + b".", "too deep or repeats itself"),
        (b"\x80\x02(ios\nsystem\n.", "wants to use 'os.system'"),
        (b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.", "wants to use '__builtin__.eval'"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "wants to use 'NEWOBJ'"),
        (b"\x80\x02cos\nsystem\n.", "wants to use 'os.system'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "wants to use 'STACK_GLOBAL'"),
        (b"\x80\x02\x82\x01.", "wants to use 'EXT1'"),
        (PROLOGUE + b"ctorch._utils\n_rebuild_tensor_v2\n)Rs.", "PyTorch does not read it as tensors only"),
        (PROLOGUE + b"X\x01\x00\x00\x00wQs.", "PyTorch does not read it as tensors only"),
        (PROLOGUE + b"ccollections\nOrderedDict\nK\x01\x85Rs.", "PyTorch does not read it as tensors only"),
    ],
)
def test_a_program_that_is_not_a_state_dict_is_refused(tmp_path: Path, program: bytes, reason: str) -> None:
    archive(tmp_path / FILE, program)
    assert reason in refusal(tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4), st.booleans()
)
def test_whatever_is_damaged_only_our_errors_come_out(
    tmp_path: Path, edits: list[tuple[float, bytes]], in_program: bool
) -> None:
    content = bytearray(saved(tmp_path))
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        program = bytearray(whole.read("pytorch_model/data.pkl"))
    spoilt = program if in_program else content
    for place, new in edits:
        start = int(place * len(spoilt))
        spoilt[start : start + len(new)] = new
    if in_program:
        archive(tmp_path / FILE, bytes(program), members={"0": bytes(256), "1": bytes(12)})
    else:
        (tmp_path / FILE).write_bytes(content)
    try:
        stored = open_pickle(tmp_path)
        read = [stored.tensor(name) for name in stored]
    except CheckpointError as error:
        assert error.remedy
    else:
        assert sum(tensor.nbytes for tensor in read) <= 268
