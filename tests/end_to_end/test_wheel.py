"""The built package, in a clean environment with nothing but its base dependencies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_INDEX = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|Network is unreachable")
KINDS = {".css", ".js", ".jsonl", ".md", ".py", ".typed", ".yaml"}
IMPORT_ALL = """
import importlib, pkgutil, sys, heedful
names = [module.name for module in pkgutil.walk_packages(heedful.__path__, "heedful.")]
for name in names:
    if name != "heedful.__main__":
        importlib.import_module(name)
for name in heedful.__all__:
    getattr(heedful, name)
print(len(names), heedful.__file__)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command; a failure is a failure of the test, a missing package index skips it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and NO_INDEX.search(done.stdout + done.stderr):
        pytest.skip("pip reaches no package index")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as a release is."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The programs of a new environment into which pip installed the wheel."""
    run(sys.executable, "-m", "venv", wheel.parent / "clean", cwd=wheel.parent)
    programs = wheel.parent / "clean" / "bin"
    constraints = ROOT / "constraints.txt"
    # What is imported is compiled then: all of PyTorch beforehand takes half a minute.
    quick = ("--no-compile", "--constraint", constraints)
    run(programs / "python", "-m", "pip", "install", *quick, wheel, cwd=wheel.parent)
    return programs


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    source = ROOT / "src"
    files = [path for path in (source / "heedful").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sorted(name for name in names if ".dist-info/" not in name) == sorted(
        path.relative_to(source).as_posix() for path in files
    )
    assert {Path(name).suffix for name in names if ".dist-info/" not in name} == KINDS
    assert {"heedful/py.typed", "heedful/recipes/helpdesk.yaml", "heedful/data/helpdesk/train.jsonl"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_every_module_imports_with_the_base_dependencies(installed: Path, tmp_path: Path) -> None:
    count, place = run(installed / "python", "-c", IMPORT_ALL, cwd=tmp_path).split()
    assert int(count) == len(list((ROOT / "src" / "heedful").rglob("*.py"))) - 1
    assert Path(place).is_relative_to(installed.parent)


def test_installed_program_works(installed: Path, tmp_path: Path) -> None:
    assert "Commands:" in run(installed / "heedful", "--help", cwd=tmp_path)
    quick = ["tokenizer.kind=wordpiece", "model.d_model=16", "training.max_steps=2"]
    trained = run(installed / "heedful", "train", "helpdesk", *quick, cwd=tmp_path)
    assert "accuracy" in trained
    answer = run(installed / "heedful", "evaluate", "runs/helpdesk", "helpdesk:test", "-o", "report", cwd=tmp_path)
    assert "accuracy" in answer
    assert (tmp_path / "report" / "confusion_matrix.png").is_file()


def test_nothing_leaks_into_the_environment(installed: Path, tmp_path: Path) -> None:
    [packages] = installed.parent.glob("lib/python*/site-packages")
    assert not [name for name in ("tests", "tools", "benchmarks", "docs", "recipes") if (packages / name).exists()]
    assert "No broken requirements found." in run(installed / "python", "-m", "pip", "check", cwd=tmp_path)
