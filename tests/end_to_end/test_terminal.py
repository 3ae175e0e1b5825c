"""On a terminal: a progress bar that fits 80 columns; nowhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call

COLUMNS = 80
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RecipeFile = Callable[..., Path]


def on_a_terminal(*command: str | Path, typed: bytes | None = None) -> list[str]:
    """Run a command on a terminal of 80 columns; every line that it drew, in order.

    Standard output is the terminal too if something is ``typed``, and goes nowhere else.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    stdin, stdout = (subprocess.DEVNULL, subprocess.DEVNULL) if typed is None else (theirs, theirs)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    with subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=theirs, env=environment | {"TERM": "xterm-256color"}
    ) as process:
        os.close(theirs)
        if typed is not None:
            os.write(ours, typed)
        drawn = b""
        while chunk := _read(ours):
            drawn += chunk
    os.close(ours)
    assert process.returncode == 0, drawn.decode()
    return re.split(r"[\r\n]+", CONTROL.sub("", drawn.decode()))


def _read(descriptor: int) -> bytes:
    """What is there; nothing when the other side has been closed, which Linux reports as an error."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def test_training_shows_how_it_goes(heedful_path: Path, recipe_file: RecipeFile) -> None:
    lines = on_a_terminal(heedful_path, "train", recipe_file(), "training.epochs=4")
    bars = [line for line in lines if line.startswith("training ")]
    assert re.search(r"\d+% loss \d\.\d{3} · [\d,]+ tokens/s · padding \d+\.\d% \d:\d\d:\d\d left", bars[-1]), bars
    assert "100%" in bars[-1]
    assert any(line.startswith("epoch  1.00  loss") for line in lines)
    assert max(map(len, lines)) <= COLUMNS


def test_prediction_and_evaluation_show_how_they_go(
    heedful_path: Path, model: Path, many_texts: Path, rows: tuple[dict[str, str], ...], tmp_path: Path
) -> None:
    predicting = on_a_terminal(heedful_path, "predict", model, many_texts)
    bars = [line for line in predicting if line.startswith("predicting ")]
    assert re.search(r"6,000 texts · [\d,]+ texts/s · padding \d+\.\d% \d:\d\d:\d\d", bars[-1]), bars
    assert any(line.startswith("heedful: 6,000 texts in ") for line in predicting)
    data = tmp_path / "rows.csv"
    data.write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows * 20), encoding="utf-8")
    evaluating = on_a_terminal(heedful_path, "evaluate", model, data, "--resamples", "0")
    bars = [line for line in evaluating if line.startswith("evaluating ")]
    assert re.search(r"100% 2,400 texts · .* left", bars[-1]), bars
    assert max(map(len, predicting + evaluating)) <= COLUMNS


def test_typed_texts_are_answered_one_by_one(heedful_path: Path, model: Path) -> None:
    lines = on_a_terminal(heedful_path, "predict", model, typed=b"card stolen\nrain\n\x04")
    answers = [line.split("\t")[2] for line in lines if line.count("\t") == 2]
    assert answers == ["card stolen", "rain"]
    assert any("Ctrl-D ends" in line for line in lines)
    assert not any(line.startswith("predicting") for line in lines)


def test_no_bar_where_there_is_no_terminal(call: Call, recipe_file: RecipeFile, model: Path, many_texts: Path) -> None:
    for answer in (call("train", recipe_file()), call("predict", model, many_texts)):
        assert answer.exit_code == 0
        assert "━" not in answer.stderr
        assert "\x1b" not in answer.stdout + answer.stderr
        assert "tokens/s" not in answer.stderr
