"""The house keeps its order: imports go down, never up and never in a circle, and what is light stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import heedful

SOURCE = Path(heedful.__file__).parent

FLOORS = (
    {"cli"},
    {"serving"},
    {"training", "explanation"},
    {"evaluation"},
    {"tasks"},
    {"generation"},
    {"inference"},
    {"families"},
    {"checkpoint"},
    {"data"},
    {"text"},
    {"metrics"},
    {"model"},
    {"nn"},
    {"progress"},
    {"files"},
    {"settings", "hub", "scripts"},
    {"errors"},
)
"""From the top to the bottom; those on one floor do not know each other."""
FACADE = ("heedful", "heedful.__main__")
"""They bear the names of what is below for whoever comes from outside."""
TORCH_FREE = (
    "heedful",
    "heedful.errors",
    "heedful.settings",
    "heedful.progress",
    "heedful.model.spec",
    "heedful.cli.main",
)
"""By their own imports and all that follow from these; ``heedful.metrics`` with all its modules too."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by name."""
    named = {}
    for path in SOURCE.rglob("*.py"):
        parts = ["heedful", *path.relative_to(SOURCE).with_suffix("").parts]
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that ``module`` imports when it is imported, ours and others'."""
    return frozenset(_imported(ast.parse(modules()[module].read_text(encoding="utf-8")), everywhere=False))


@cache
def all_imports(module: str) -> frozenset[str]:
    """The modules that ``module`` names anywhere: inside functions and for type checkers too."""
    return frozenset(_imported(ast.parse(modules()[module].read_text(encoding="utf-8")), everywhere=True))


def _imported(tree: ast.AST, *, everywhere: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else str(node.module)
        elif everywhere or (not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _for_checkers(node)):
            yield from _imported(node, everywhere=everywhere)


def _for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def floor(module: str) -> int:
    package = module.split(".")[1]
    (number,) = [number for number, floor in enumerate(FLOORS) if package in floor]
    return number


def ours(names: frozenset[str]) -> list[str]:
    return sorted(name for name in names if name.split(".")[0] == "heedful")


def test_every_module_has_its_floor() -> None:
    assert len(modules()) > 50
    on_a_floor = set().union(*FLOORS)
    assert {module.split(".")[1] for module in modules() if module not in FACADE} <= on_a_floor


@pytest.mark.parametrize("module", sorted(set(modules()) - set(FACADE)))
def test_imports_go_down(module: str) -> None:
    package = module.split(".")[1]
    for name in ours(all_imports(module)):
        if name == "heedful":  # the version only: `from heedful import load` would be a way up
            assert "from heedful import __version__\n" in modules()[module].read_text(encoding="utf-8")
        elif name.split(".")[1] != package:
            assert floor(name) > floor(module), f"{module} imports {name}, which is not below it"


def test_nothing_imports_in_a_circle() -> None:
    graph = {module: set(ours(all_imports(module))) - {module} for module in modules() if module not in FACADE}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def reachable(module: str) -> set[str]:
    """All modules that importing ``module`` asks for, its packages' ``__init__`` left out."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports(name) if name in modules() else []
    return found


@pytest.mark.parametrize("module", [*TORCH_FREE, *(name for name in modules() if name.startswith("heedful.metrics"))])
def test_what_is_light_asks_for_no_torch(module: str) -> None:
    assert not [name for name in reachable(module) if name.split(".")[0] == "torch"]


def test_the_walk_would_find_torch() -> None:
    assert "torch" in reachable("heedful.training.trainer")
    assert "torch" in reachable("heedful.model.build")


def test_what_is_light_loads_no_torch() -> None:
    program = (
        "import sys, heedful, heedful.settings, heedful.metrics, heedful.cli.main; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", heedful.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(heedful, name).__module__.startswith("heedful.")
    assert name in dir(heedful)


def test_no_public_name_is_that_of_a_package() -> None:
    assert not set(heedful.__all__) & set().union(*FLOORS)
