"""What benchmarks are asked, and their dated reports with what there is to say of the machine."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

REPORTS = Path(__file__).parent / "reports"


def arguments(description: str | None, *, texts: int, report: str) -> argparse.ArgumentParser:
    """A run and data, how much is measured for how long, and what the report is called."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--texts", type=int, default=texts)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", default=report, help="kept as benchmarks/reports/DATE-REPORT.md")
    return parser


def today() -> str:
    """The date of a report."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def machine(threads: int | None = None) -> str:
    """The machine and what it was doing, in a few words."""
    used = "" if threads is None else f"{threads} threads on "
    return (
        f"Python {platform.python_version()}, PyTorch {version('torch')}, {used}{os.cpu_count()} cores with a load of "
        f"{os.getloadavg()[0]:.1f}"
    )


def publish(name: str, report: str) -> None:
    """Print a report and keep it as that of today."""
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / f"{today()}-{name}.md").write_text(report.rstrip() + "\n", encoding="utf-8")
    print(report.rstrip())
