"""Weights: the same bits come back, tied ones are stored once, and what does not fit is refused."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from heedful.checkpoint import assign_weights, distinct_tensors, open_weights, write_weights
from heedful.errors import CheckpointError
from heedful.model.skeleton import skeleton


class Tied(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.again = nn.Linear(width, width, bias=False)
        self.again.weight = self.first.weight
        self.register_buffer("counts", torch.arange(width))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_same_bits_come_back(file: Path, dtype: torch.dtype) -> None:
    saved, loaded = Tied().to(dtype), Tied()
    write_weights(file.parent, distinct_tensors(saved))
    stored = open_weights(file.parent)
    assign_weights(loaded, {name: stored.tensor(name) for name in stored}, source="it")
    assert loaded.again.weight is loaded.first.weight
    state = loaded.state_dict()
    for name, tensor in saved.state_dict().items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor)


def test_a_skeleton_takes_copies_and_stays_tied(file: Path) -> None:
    saved = Tied()
    write_weights(file.parent, distinct_tensors(saved))
    with skeleton():
        loaded = Tied()
    stored = open_weights(file.parent)
    assign_weights(loaded, {name: stored.tensor(name) for name in stored}, source="it")
    assert loaded.again.weight is loaded.first.weight
    file.write_bytes(bytes(file.stat().st_size))
    state = loaded.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in saved.state_dict().items())


def test_a_tied_weight_is_stored_once(file: Path) -> None:
    write_weights(file.parent, distinct_tensors(Tied()))
    with safe_open(file, "pt") as stored:
        assert set(stored.keys()) == {"first.weight", "first.bias", "norm.weight", "norm.bias", "counts"}


def test_whoever_may_read_other_files_may_read_the_weights(file: Path) -> None:
    write_weights(file.parent, distinct_tensors(Tied()))
    beside = file.with_name("beside")
    beside.touch()
    assert file.stat().st_mode == beside.stat().st_mode


def test_everything_that_does_not_fit_is_listed() -> None:
    tensors = dict(Tied(4).state_dict())
    del tensors["again.weight"], tensors["norm.bias"]
    tensors["first.bias"] = torch.zeros(5)
    tensors["stranger"] = torch.zeros(2, 3)
    module = Tied(4)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        assign_weights(module, tensors, source="runs/it")
    assert caught.value.message.splitlines() == [
        "the weights of runs/it do not fit its configuration:",
        "  missing norm.bias (4,)",
        "  unexpected stranger (2, 3)",
        "  misshapen first.bias: (5,) stored, (4,) wanted",
    ]
    assert caught.value.exit_code == 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 50, -1])
def test_a_truncated_file_is_refused(file: Path, kept: int) -> None:
    write_weights(file.parent, distinct_tensors(Tied()))
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
        open_weights(file.parent)


@pytest.mark.parametrize("content", [b"\xff" * 64, b"{}" * 50, (2**62).to_bytes(8, "little") + b"{}"])
def test_another_file_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
        open_weights(file.parent)


def test_a_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors does not exist"):
        open_weights(file.parent)


def test_a_full_disk_is_what_the_system_calls_it(
    file: Path, small_files: Callable[[int], AbstractContextManager[None]]
) -> None:
    with small_files(1000), pytest.raises(OSError, match="too large") as caught:
        write_weights(file.parent, distinct_tensors(nn.Linear(1000, 1)))
    assert caught.value.errno == errno.EFBIG
