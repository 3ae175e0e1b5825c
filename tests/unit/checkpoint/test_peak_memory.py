"""Weights that are loaded are held once, and one tensor of them twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from heedful.checkpoint.weights import write_safetensors

PARTS, WIDTH = 12, 2048
LOADING = """
import sys
from pathlib import Path
from torch import nn
from heedful.checkpoint import read_network
from heedful.model.skeleton import skeleton

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

with skeleton():
    network = nn.ModuleList(nn.Linear({width}, {width}, bias=False) for _ in range({parts}))
before = peak()
read_network(Path(sys.argv[1]), network)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process its memory")
def test_the_peak_of_loading_is_hardly_more_than_the_weights(tmp_path: Path) -> None:
    network = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(PARTS))
    write_safetensors(tmp_path / "model.safetensors", dict(network.state_dict()))
    size = sum(parameter.nbytes for parameter in network.parameters())
    del network
    code = LOADING.format(width=WIDTH, parts=PARTS)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert size * 0.9 < int(done.stdout) < size * 1.3
