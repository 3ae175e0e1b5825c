"""What a container leaves of the memory, read from trees of files as Linux has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from heedful.generation.control_groups import memory_left

NO_LIMIT = "9223372036854771712\n"
"""As version 1 of control groups says it."""
STAT = "anon 300\nfile 150\ninactive_file 100\nactive_file 50\nslab 7\n"
V1, V2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


SYSTEMS: dict[str, tuple[dict[str, str], int | None]] = {
    "no control groups": ({}, None),
    "no limit": (
        {"proc/self/cgroup": "0::/a\n", f"{V2}/a/memory.max": "max\n", f"{V2}/a/memory.current": "400\n"},
        None,
    ),
    "a limit, of which a part is used": (
        {"proc/self/cgroup": "0::/a\n", f"{V2}/a/memory.max": "1000\n", f"{V2}/a/memory.current": "400\n"},
        600,
    ),
    "pages of files are given up": (
        {
            "proc/self/cgroup": "0::/a\n",
            f"{V2}/a/memory.max": "1000\n",
            f"{V2}/a/memory.current": "400\n",
            f"{V2}/a/memory.stat": STAT,
        },
        750,
    ),
    "only the limit can be read": ({"proc/self/cgroup": "0::/a\n", f"{V2}/a/memory.max": "1000\n"}, 1000),
    "an ancestor is narrower": (
        {
            "proc/self/cgroup": "0::/pod/box\n",
            f"{V2}/pod/box/memory.max": "1000\n",
            f"{V2}/pod/memory.max": "800\n",
            f"{V2}/pod/memory.current": "100\n",
        },
        700,
    ),
    "an ancestor is wider": (
        {"proc/self/cgroup": "0::/pod/box\n", f"{V2}/pod/box/memory.max": "500\n", f"{V2}/pod/memory.max": "800\n"},
        500,
    ),
    "more is used than granted": (
        {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "1000\n", f"{V2}/memory.current": "1200\n"},
        0,
    ),
    "another group than the limited one": ({"proc/self/cgroup": "0::/a\n", f"{V2}/b/memory.max": "1000\n"}, None),
    "version 1": (
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/a\n4:hugetlb,memory:/a\n1:name=systemd:/a\n",
            f"{V1}/a/memory.limit_in_bytes": "1000\n",
            f"{V1}/a/memory.usage_in_bytes": "400\n",
            f"{V1}/a/memory.stat": "inactive_file 1\ntotal_inactive_file 30\ntotal_active_file 20\n",
            f"{V1}/memory.limit_in_bytes": NO_LIMIT,
        },
        650,
    ),
    "version 1 in a container that sees its group as the outermost": (
        {"proc/self/cgroup": "4:memory:/docker/0123\n0::/\n", f"{V1}/memory.limit_in_bytes": "1000\n"},
        1000,
    ),
    "both versions": (
        {
            "proc/self/cgroup": "4:memory:/a\n0::/a\n",
            f"{V1}/a/memory.limit_in_bytes": "1000\n",
            f"{V2}/a/memory.max": "900\n",
        },
        900,
    ),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_narrowest_limit_counts(tmp_path: Path, system: str) -> None:
    files, left = SYSTEMS[system]
    assert memory_left(tree(tmp_path, files)) == left


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/a/b\n", f"{V2}/a/memory.max": "1000\n"}
    (tmp_path / V2 / "a/b/memory.max").mkdir(parents=True)
    (tmp_path / V2 / "a/memory.current").mkdir()
    assert memory_left(tree(tmp_path, files)) == 1000


def test_this_system_can_be_asked() -> None:
    left = memory_left()
    assert left is None or left >= 0
