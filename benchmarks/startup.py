"""How long `import heedful` and `heedful --help` take, beside a bare Python, interleaved.

Run: python -m benchmarks.startup [rounds]. Writes a dated report under benchmarks/reports/.
Wall time is what a user waits; processor time is what remains of it on a machine that does nothing else.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.publishing import machine, publish, today

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import heedful'": [sys.executable, "-c", "import heedful"],
    "heedful --help": [str(Path(sys.executable).parent / "heedful"), "--help"],
}
TARGET_SECONDS = 0.3


class Seconds(NamedTuple):
    """What one start cost."""

    wall: float
    processor: float


def measure(command: list[str]) -> Seconds:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Seconds(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    found: dict[str, list[Seconds]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        measure(command)
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            found[name].append(measure(command))
    lines = [
        f"# Start-up times, {today()}",
        "",
        f"{machine()}; {rounds} interleaved rounds after a warm-up, medians. Target for heedful: {TARGET_SECONDS} s.",
        "",
        "| command | wall | processor |",
        "|---|---|---|",
    ]
    for name, seconds in found.items():
        wall, processor = (statistics.median(values) for values in zip(*seconds, strict=True))
        lines.append(f"| `{name}` | {wall:.3f} s | {processor:.3f} s |")
    publish("startup", "\n".join(lines))


if __name__ == "__main__":
    main()
