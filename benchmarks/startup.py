"""How long `import heedful` and `heedful --help` take, beside a bare Python, interleaved.

Run: python benchmarks/startup.py [rounds]. Writes a dated report under benchmarks/reports/.
"""

from __future__ import annotations

import datetime
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import heedful'": [sys.executable, "-c", "import heedful"],
    "heedful --help": [str(Path(sys.executable).parent / "heedful"), "--help"],
}
TARGET_SECONDS = 0.3


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        seconds(command)
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    today = datetime.datetime.now(tz=datetime.UTC).date()
    lines = [
        f"# Start-up times, {today}",
        "",
        f"Python {platform.python_version()}, {rounds} interleaved rounds after a warm-up; "
        f"target for heedful: {TARGET_SECONDS} s.",
        "",
        "| command | median | range |",
        "|---|---|---|",
    ]
    for name, values in times.items():
        lines.append(f"| `{name}` | {statistics.median(values):.3f} s | {min(values):.3f}–{max(values):.3f} s |")
    report = "\n".join(lines) + "\n"
    folder = Path(__file__).parent / "reports"
    folder.mkdir(exist_ok=True)
    (folder / f"{today}-startup.md").write_text(report, encoding="utf-8")
    print(report, end="")


if __name__ == "__main__":
    main()
