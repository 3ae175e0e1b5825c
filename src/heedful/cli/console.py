"""Reports for people on standard output, and commands that they can type next."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console

FILE_WIDTH = 200
"""Columns where standard output is no terminal: enough that nothing is folded."""


def report_console() -> Console:
    """A console on standard output: as wide as the terminal, and wide enough for every line elsewhere."""
    return Console(width=None if sys.stdout.isatty() else FILE_WIDTH)


def typed(*arguments: str | Path) -> str:
    """A heedful command with ``arguments`` as it can be typed from here, quoted for the shell.

    It begins as this process was begun, unless plain ``heedful`` does the same.
    """
    started, found = sys.argv[0], shutil.which("heedful")
    if Path(started).name == "__main__.py":
        program = [sys.executable, "-m", "heedful"]
    elif found and Path(found).absolute() == Path(started).absolute():
        program = ["heedful"]
    else:
        program = [started]
    return shlex.join([*program, *map(str, arguments)])
