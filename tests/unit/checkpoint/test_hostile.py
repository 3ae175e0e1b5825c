"""What claims to be huge is refused at once: its seconds of processor time and its memory are measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from heedful.checkpoint import write_weights
from heedful.model import build, parse_spec

SECONDS, BYTES = 1.0, 50_000_000

MEASURE = """
import json, os, resource, sys, time
import torch
from pathlib import Path
from heedful.checkpoint import open_weights, read_model, read_network
from heedful.errors import HeedfulError

def address_space():
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmPeak"))

def visit(folder):
    try:
        if (folder / "config.json").exists():
            read_model(folder)
        weights = open_weights(folder, allow_pickle=True)
        for name in weights:
            weights.tensor(name)
        return "read"
    except HeedfulError as error:
        return error.message

torch.set_num_threads(1)
folders = sorted(Path(sys.argv[1]).iterdir())
for folder in folders:
    if folder.name.startswith("0-good"):
        assert visit(folder) == "read", visit(folder)
for folder in folders:
    memory, space, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, address_space(), time.process_time()
    message = visit(folder)
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps([folder.name, message, seconds, grown, address_space() - space]))
"""


def pickled(content: Callable[[], object]) -> Callable[[Path], None]:
    return lambda folder: torch.save(content(), folder / "pytorch_model.bin")


def zip_bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(200_000_000))


def program(content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", content)

    return write


def safetensors(header: bytes, size: int | None = None) -> Callable[[Path], None]:
    """A file with this header; as large as ``size`` says, without taking the space on the disk."""

    def write(folder: Path) -> None:
        file = folder / "model.safetensors"
        file.write_bytes(len(header).to_bytes(8, "little") + header)
        if size is not None:
            os.truncate(file, size)

    return write


def long_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((10**8 + 1).to_bytes(8, "little"))
    os.truncate(folder / "model.safetensors", 2 * 10**8)


def deep_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_bytes(b'{"weight_map": ' + b"[" * 200_000)


def spec(**changes: Any) -> dict[str, Any]:
    layer = {"self_attention": {"num_heads": 2, "head_dim": 4}, "feed_forward": {"d_ff": 16}}
    return {"vocabulary_size": 20, "d_model": 8, "encoder": {"layers": [layer]}, **changes}


def config(content: dict[str, Any] | bytes) -> Callable[[Path], None]:
    """A ``config.json`` beside weights that are small and whole."""

    def write(folder: Path) -> None:
        write_weights(folder, {"model.token_embedding.weight": torch.zeros(20, 8)})
        text = content if isinstance(content, bytes) else json.dumps({"format_version": 1, "spec": content}).encode()
        (folder / "config.json").write_bytes(text)

    return write


def huge_layers(count: int) -> dict[str, Any]:
    layer = {"self_attention": {"num_heads": 1024, "head_dim": 2**16}, "feed_forward": {"d_ff": 2**20}}
    return {"encoder": {"layers": [layer] * count}}


def claim(shape: list[int], end: int) -> bytes:
    return json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "stride 0": (pickled(lambda: {"w": torch.zeros(1).expand(10**12)}), "claims 4,000,000,000,000 bytes"),
    "sparse": (
        pickled(lambda: {"w": torch.sparse_coo_tensor(torch.zeros(1, 0), torch.ones(0), (10**12,))}),
        "_rebuild_sparse_tensor",
    ),
    "meta": (pickled(lambda: {"w": torch.zeros(10**12, device="meta")}), "_rebuild_meta_tensor_no_storage"),
    "zip bomb": (zip_bomb, "its members claim 200,000,000 bytes, and the file has"),
    "built by a call": (program(b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R."), "bytearray"),
    "quantized": (
        program(b"\x80\x02ctorch._utils\n_rebuild_qtensor\n)R."),
        "wants to use 'torch._utils._rebuild_qtensor'",
    ),
    "a memo of gigabytes": (program(b"\x80\x02]r\xff\xff\xff\x7f."), "is refused"),
    "a text of gigabytes": (program(b"\x80\x02X\xff\xff\xff\x7f."), "its pickle is damaged"),
    "pairs of pairs": (program(b"\x80\x02}K\x01" + b"q\x00h\x00\x86" * 200 + b"K\x01s."), "too deep or repeats"),
    "200,000 deep tuples": (program(b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s."), "too deep or repeats"),
    "safetensors of 4 TB": (safetensors(claim([10**12], 4 * 10**12)), "it is truncated"),
    "a shape of 4 TB": (safetensors(claim([10**12], 4), 200), "needs 4,000,000,000,000 bytes"),
    "a shape beyond 64 bits": (safetensors(claim([2**62] * 8, 4), 400), "needs more than 2^63 bytes"),
    "a long header": (long_header, "its header claims 100,000,001 bytes"),
    "a deep header": (safetensors(b'{"a":' * 200_000), "200,000 levels of nesting"),
    "a deep index": (deep_index, "200,001 levels of nesting"),
    "a deep config": (config(b'{"a":' * 200_000), "200,000 levels of nesting"),
    "a vocabulary of 10^12": (config(spec(vocabulary_size=10**12)), "vocabulary_size: "),
    "a width of -1": (config(spec(d_model=-1)), "d_model: "),
    "layers -1": (config(spec(encoder={"layers": -1})), "encoder.layers: "),
    "100,000 layers": (config(spec(encoder={"layers": [{}] * 100_000})), "encoder.layers: "),
    "a legal vocabulary, 4 TB": (
        config(spec(vocabulary_size=2**24, d_model=2**16)),
        "misshapen token_embedding.weight: (20, 8) stored, (16777216, 65536) wanted",
    ),
    "legal layers, 100 TB": (config(spec(**huge_layers(100))), "missing encoder.layers.99."),
    "learned positions, 8 TB": (
        config(
            spec(encoder=spec()["encoder"] | {"embeddings": {"positions": {"kind": "learned", "max_positions": 2**24}}})
        ),
        "missing encoder.embeddings.positions.",
    ),
}


@dataclass(frozen=True)
class Visit:
    message: str
    seconds: float
    memory: int
    """Growth of the peak of resident memory, bytes."""
    space: int
    """Growth of the peak of the address space, bytes."""


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Visit]:
    root = tmp_path_factory.mktemp("hostile")
    for name, write in {
        "0-good": config(spec()),
        "0-good pickle": pickled(lambda: {"w": torch.zeros(3), "v": torch.zeros(4)}),
        **{name: write for name, (write, _) in HOSTILE.items()},
    }.items():
        (root / name).mkdir()
        write(root / name)
    model = build(parse_spec(spec()))
    write_weights(root / "0-good", {f"model.{name}": value for name, value in model.state_dict().items()})
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEASURE, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return {name: Visit(*figures) for name, *figures in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_claims_to_be_huge_is_refused_at_once(visits: dict[str, Visit], name: str) -> None:
    visit = visits[name]
    assert HOSTILE[name][1] in visit.message
    assert visit.seconds < SECONDS
    assert visit.memory < BYTES
    assert visit.space < BYTES
    assert len(visit.message) < 500_000


def test_the_measure_sees_what_is_read(visits: dict[str, Visit]) -> None:
    assert visits["0-good"].message == "read"
    assert visits["0-good pickle"].message == "read"
    assert len(visits) == len(HOSTILE) + 2
