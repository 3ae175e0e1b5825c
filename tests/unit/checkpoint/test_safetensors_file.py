"""safetensors files: every fault of a header has its message, and nothing is accepted that the library refuses."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from heedful.checkpoint import open_weights
from heedful.checkpoint.safetensors_file import DTYPES
from heedful.errors import CheckpointError

Header = dict[str, Any]

HEADER: Header = {
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
}
DATA = bytes(range(32))


def layout(header: Header | bytes, data: bytes = DATA) -> bytes:
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + data


def changed(name: str, **fields: Any) -> Header:
    return HEADER | {name: HEADER[name] | fields}


def read_all(folder: Path) -> dict[str, torch.Tensor]:
    stored = open_weights(folder)
    return {name: stored.tensor(name) for name in stored}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, torch.Tensor]]:
    def write_and_read(content: bytes) -> dict[str, torch.Tensor]:
        (tmp_path / "model.safetensors").write_bytes(content)
        return read_all(tmp_path)

    return write_and_read


Read = Callable[[bytes], dict[str, torch.Tensor]]


def test_what_is_stored_comes_back(read: Read) -> None:
    tensors = read(layout(HEADER | {"__metadata__": {"format": "pt"}}))
    assert torch.equal(tensors["a"], torch.frombuffer(bytearray(DATA[:24]), dtype=torch.float32).view(2, 3))
    assert torch.equal(tensors["b"], torch.frombuffer(bytearray(DATA[24:]), dtype=torch.bfloat16))


@pytest.mark.parametrize("padding", range(8))
def test_values_may_lie_anywhere(read: Read, padding: int) -> None:
    """Writers differ in how they align what follows the header."""
    tensors = read(layout(json.dumps(HEADER).encode() + b" " * padding))
    assert torch.equal(tensors["a"].flatten().view(torch.uint8), torch.arange(24, dtype=torch.uint8))


def test_a_change_to_what_was_read_leaves_the_file_as_it_is(read: Read, tmp_path: Path) -> None:
    content = layout(HEADER)
    read(content)["a"].fill_(7)
    assert (tmp_path / "model.safetensors").read_bytes() == content


@pytest.mark.parametrize("code", DTYPES)
def test_every_dtype_is_the_one_that_the_library_reads(tmp_path: Path, code: str) -> None:
    tensor = torch.arange(6, dtype=torch.float64).to(DTYPES[code]).view(2, 3)
    save_file({"t": tensor, "none": torch.zeros(0, 4, dtype=DTYPES[code])}, tmp_path / "model.safetensors")
    assert f'"{code}"'.encode() in (tmp_path / "model.safetensors").read_bytes()
    for tensors in (read_all(tmp_path), load_file(tmp_path / "model.safetensors")):
        assert tensors["t"].dtype == DTYPES[code]
        assert torch.equal(tensors["t"].view(torch.uint8), tensor.view(torch.uint8))
        assert tensors["none"].shape == (0, 4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes long, too short for its header"),
        (layout(HEADER)[:7], "7 bytes long, too short"),
        (layout(HEADER)[:60], "too short for its header: it may be truncated"),
        (b"\xff" * 8 + b"{}", "too short for its header"),
        (layout(HEADER)[:-1], "it is truncated: its tensors take 32 bytes, and 31 are there"),
        (layout(HEADER, b""), "it is truncated: its tensors take 32 bytes, and 0 are there"),
        (layout(HEADER, DATA + b"x"), "it has trailing bytes: its tensors take 32 bytes, and 33 are there"),
        (layout(b"[" * 200_000), "its header begins with"),
        (layout(b' {"a": 1}'), "its header begins with"),
        (layout(b'{"a": ' * 200_000), "200,000 levels of nesting"),
        (layout(b'{"a": ' + b"[" * 200_000), "200,001 levels of nesting"),
        (layout(b'{"a": {}'), "is not valid JSON"),
        (layout(b'{"\xff": {}}'), "is not valid JSON"),
        (layout(b'{"a": {}, "a": {}}'), "the key 'a' occurs twice"),
        (layout(b'{"a": {"dtype": "F32", "dtype": "F64"}}'), "the key 'dtype' occurs twice"),
        (layout(HEADER | {"__metadata__": ["pt"]}), "__metadata__ is not an object of texts"),
        (layout(HEADER | {"__metadata__": {"format": {}}}), "__metadata__ is not an object of texts"),
        (layout(HEADER | {"c": 3}), "the entry of the tensor 'c' is malformed: 3"),
        (layout(HEADER | {"c": {"dtype": "F32", "shape": []}}), "the entry of the tensor 'c' is malformed"),
        (layout(changed("b", stride=[0])), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", shape=4)), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", shape=[-4])), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", shape=[4.0])), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", shape=[True, 4])), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", data_offsets=[24])), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", data_offsets=[24, "32"])), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", data_offsets=[-8, 0])), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", dtype="F4")), "the tensor 'b' has the dtype 'F4', not one of BOOL, U8"),
        (layout(changed("b", dtype=None)), "the entry of the tensor 'b' is malformed"),
        (layout(changed("b", shape=[1] * 8 + [4])), "the tensor 'b' has 9 dimensions, and 8 are the limit"),
        (layout(changed("b", shape=[5])), r"'b' BF16 \(5\) needs 10 bytes, and its place from 24 to 32 holds 8"),
        (layout(changed("b", shape=[10**12])), r"'b' BF16 \(1,000,000,000,000\) needs 2,000,000,000,000 bytes"),
        (layout(changed("b", shape=[2**40] * 8)), "'b' BF16 .* needs more than 2\\^63 bytes"),
        (layout(changed("b", shape=[2**32, 2**32, 0])), "the tensor 'b'"),
        (layout(changed("b", shape=[2**32, 2**32, 0], data_offsets=[24, 24]), DATA[:24]), "the tensor 'b'"),
        (layout(changed("b", data_offsets=[32, 24])), "the tensor 'b'"),
        (layout(changed("b", data_offsets=[20, 28])), "the tensor 'b' overlaps the one before: it begins at 20"),
        (layout(changed("b", data_offsets=[0, 8])), "the tensor 'a' overlaps the one before: it begins at 0, not at 8"),
        (layout(changed("b", data_offsets=[25, 33])), "the tensor 'b' leaves a hole before it: it begins at 25"),
        (layout(changed("a", data_offsets=[1, 25])), "the tensor 'a' leaves a hole before it"),
        (layout(changed("b", data_offsets=[2**70, 2**70 + 8])), "begins at more than 2\\^63"),
        (layout(b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b"]}}"), "is not valid JSON"),
        (layout({}, b"x"), "it has trailing bytes"),
        (b"<html><body>Not found</body></html>" * 9, "is not a whole safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a Git-LFS pointer"),
    ],
)
def test_every_fault_has_its_message(read: Read, content: bytes, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason) as caught:
        read(content)
    assert "model.safetensors" in caught.value.message
    assert caught.value.remedy
    assert len(caught.value.message) < 1000


def test_a_git_lfs_pointer_says_what_to_do(read: Read) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert "git lfs pull" in str(caught.value.remedy)


@pytest.mark.parametrize(("length", "reason"), [(100_000_001, "are the limit"), (100_000_000, "begins with")])
def test_a_header_has_at_most_100_mb(tmp_path: Path, length: int, reason: str) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(length.to_bytes(8, "little"))
    os.truncate(file, length + 8)
    with pytest.raises(CheckpointError, match=reason):
        open_weights(tmp_path)


def test_a_name_may_be_anything_and_cannot_spoil_a_message(read: Read) -> None:
    name = "\x1b[31m\n\u202e" + "x" * 5000
    assert list(read(layout({name: HEADER["a"]}, DATA[:24]))) == [name]
    with pytest.raises(CheckpointError) as caught:
        read(layout({name: HEADER["a"] | {"shape": [7]}}, DATA[:24]))
    assert "x" * 50 in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
NUMBERS = st.integers(-1, 40) | st.sampled_from([2**31, 2**63, 2**64, 10**30])
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*DTYPES, "F4", "f32", ""]),
        "shape": st.lists(NUMBERS, max_size=4) | JSON,
        "data_offsets": st.lists(NUMBERS, min_size=2, max_size=2) | JSON,
    },
    optional={"stride": JSON},
)


@st.composite
def neighbours(draw: st.DrawFn) -> Header:
    """A header without a fault, for now."""
    header: Header = {}
    reached = 0
    for name in draw(st.lists(st.text(max_size=3), max_size=4, unique=True)):
        code, shape = draw(st.sampled_from(sorted(DTYPES))), draw(st.lists(st.integers(0, 3), max_size=3))
        end = reached + math.prod(shape) * DTYPES[code].itemsize
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [reached, end]}
        reached = end
    return header


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Whole files, nearly whole ones and noise."""
    header = draw(neighbours())
    present = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    match draw(st.sampled_from(["whole", "whole", "field", "entry", "text", "length", "noise"])):
        case "field" if header:
            name, field = draw(st.sampled_from(sorted(header))), draw(st.sampled_from(["shape", "data_offsets"]))
            values = list(header[name][field])
            values[draw(st.integers(0, max(len(values) - 1, 0))) :] = draw(st.lists(NUMBERS, max_size=2))
            header[name] = header[name] | {field: values}
        case "entry":
            header |= draw(st.dictionaries(st.text(max_size=3), ENTRIES | JSON, max_size=2))
        case "text":
            written = bytearray(json.dumps(header).encode())
            place = draw(st.integers(0, len(written)))
            written[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
            return layout(bytes(written), bytes(present))
        case "length":
            present = max(present + draw(st.integers(-2, 2)), 0)
        case "noise":
            return draw(st.binary(max_size=60))
    return layout(header, draw(st.binary(min_size=present, max_size=present)))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files())
@example(layout(HEADER))
def test_what_is_accepted_the_library_accepts_and_reads_alike(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    try:
        ours = read_all(tmp_path)
    except CheckpointError:
        return
    try:
        theirs = load_file(file)
    except SafetensorError as error:
        pytest.fail(f"the library refuses what we accept: {error}")
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert tensor.shape == theirs[name].shape
        assert tensor.numel() == 0 or torch.equal(
            tensor.contiguous().view(-1).view(torch.uint8), theirs[name].contiguous().view(-1).view(torch.uint8)
        )
