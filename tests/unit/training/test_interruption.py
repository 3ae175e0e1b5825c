"""Signals in mid-training, sent to a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import heedful
from heedful.training.interruption import stop_requests


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_training_and_the_last_state_is_saved(
    recipe: Callable[..., dict[str, Any]], tmp_path: Path, texts: list[str], number: signal.Signals, exit_code: int
) -> None:
    settings = recipe(data={"validation": None}, training={"epochs": 100_000})
    settings["data"]["train"] = str(settings["data"]["train"])
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(settings | {"output": str(tmp_path / "run")}))
    process = subprocess.Popen(
        [sys.executable, "-m", "heedful", "train", str(tmp_path / "recipe.yaml")],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        metrics = tmp_path / "run" / "metrics.jsonl"
        deadline = time.monotonic() + 120
        while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == exit_code
    assert f"heedful: stopped by {number.name}; the last state is saved" in errors
    assert "Traceback" not in errors
    answers = heedful.load(tmp_path / "run" / "last").predict(texts)
    assert answers == heedful.load(tmp_path / "run").predict(texts)


INSIDE = """
import os, signal
from heedful.errors import StoppedError
from heedful.training.interruption import stop_requests

before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
with stop_requests() as stop:
    assert not stop.requested
    stop.raise_if_requested()
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.requested
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("the second acts at once")
assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
try:
    stop.raise_if_requested()
except StoppedError as error:
    print(error.exit_code)
"""


def test_the_former_handlers_return() -> None:
    # In a process of its own: a signal that went astray would end the one that runs the tests, without a word.
    done = subprocess.run([sys.executable, "-c", INSIDE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the second acts at once\n130\n", "")


def test_other_threads_leave_signals_alone() -> None:
    found: list[bool] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        with stop_requests() as stop:
            found.append(signal.getsignal(signal.SIGINT) == before and not stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]
