"""A few thousand inputs on each run of the tests; more by hand, see ``fuzz_checkpoint.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_strangers_bytes_give_our_errors_only() -> None:
    pytest.importorskip("atheris", reason="needs atheris, which exists for few systems")
    command = [sys.executable, str(Path(__file__).with_name("fuzz_checkpoint.py")), "all", "-runs=4000", "-seed=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done 4000 runs" in done.stderr
