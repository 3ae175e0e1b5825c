"""Print the ten largest files and functions: signs to look at the design, not walls to code around."""

from __future__ import annotations

import ast
from pathlib import Path

SHOWN = 10
FOLDERS = ("src", "tests", "tools", "benchmarks")


def functions(path: Path, tree: ast.Module) -> list[tuple[int, str]]:
    """(lines, name with place) of each function in ``tree``."""
    return [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def main() -> None:
    files: list[tuple[int, str]] = []
    found: list[tuple[int, str]] = []
    for folder in FOLDERS:
        for path in sorted(Path(folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            files.append((text.count("\n"), str(path)))
            found.extend(functions(path, ast.parse(text)))
    for title, rows in (("files (aim: 500 lines)", files), ("functions (aim: 80 lines)", found)):
        print(f"Largest {title}:")
        for lines, name in sorted(rows, reverse=True)[:SHOWN]:
            print(f"  {lines:5}  {name}")


if __name__ == "__main__":
    main()
