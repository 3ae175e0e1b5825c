"""What the README and the demo tell a user to type works as typed."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import heedful.training
from heedful.cli.console import typed
from heedful.cli.main import main

ROOT = Path(__file__).parents[2]
README, CHINESE_README = "README.md", "README.zh-CN.md"
QUICK: dict[str, Any] = {
    "tokenizer.kind": "wordpiece",
    "model.d_model": 16,
    "training.max_steps": 40,
    "training.threads": 1,
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder where ``.venv/bin/heedful demo`` was typed, trained for moments instead of minutes, and what it said."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").symlink_to(sys.prefix)
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [".venv/bin/heedful", "demo"])
        patch.setattr(heedful.training, "train", functools.partial(heedful.training.train, **QUICK))
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code
    yield folder, said.getvalue()


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )


def blocks(readme: str, language: str) -> list[str]:
    """The code blocks of a README in ``language``."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / readme).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_demo_tries_new_messages(demo: tuple[Path, str]) -> None:
    folder, said = demo
    assert (folder / "runs" / "demo" / "model.safetensors").is_file()
    assert "accuracy" in said
    assert "密码忘了，怎么也登录不上去" in said
    assert re.search(r"tokens .*, bias .* = logit .* ✓", said)


def test_what_the_demo_says_next_works_as_typed(demo: tuple[Path, str]) -> None:
    folder, said = demo
    commands = [line.strip() for line in said.partition("What next:")[2].splitlines() if ".venv/bin/heedful" in line]
    assert len(commands) == 4
    answer, evaluation, explanation, training = (
        run_script(command, folder)
        for command in (*commands[:3], f"{commands[3]} training.max_steps=2 tokenizer.kind=wordpiece")
    )
    assert explanation.returncode == 0, explanation.stderr
    assert (folder / "why.html").is_file()
    assert (answer.returncode, answer.stdout.count("\n")) == (0, 1), answer.stderr
    assert evaluation.returncode == 0, evaluation.stderr
    assert "accuracy" in evaluation.stdout
    assert training.returncode == 0, training.stderr
    assert list(folder.glob("runs/*/model.safetensors")) != [folder / "runs" / "demo" / "model.safetensors"]


def test_commands_of_the_readme_run_as_written(demo: tuple[Path, str]) -> None:
    lines = [line for block in blocks(README, "console") for line in block.splitlines()]
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    made = [command for command in commands if command.startswith("make ")]
    assert {"make demo", "make test"} <= set(made)
    for command in made:  # what they do is tested elsewhere
        planned = run_script(f"{command} --dry-run", ROOT)
        assert planned.returncode == 0, planned.stderr
    rest = [command for command in commands if command not in made]
    assert any("heedful predict" in command for command in rest)
    done = run_script("\n".join(rest), demo[0])
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout


def test_python_of_the_readme_runs_as_written(demo: tuple[Path, str]) -> None:
    code = blocks(README, "python")
    assert code
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], cwd=demo[0], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("language", ["console", "python"])
def test_chinese_readme_says_to_type_the_same(language: str) -> None:
    assert blocks(CHINESE_README, language) == blocks(README, language) != []


def test_commands_begin_as_the_program_was_begun(
    monkeypatch: pytest.MonkeyPatch, heedful_path: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["env/bin/heedful"])
    assert typed("predict", tmp_path / "a b") == f"env/bin/heedful predict '{tmp_path}/a b'"
    monkeypatch.setattr(sys, "argv", [str(heedful_path)])
    assert typed("demo") == f"{heedful_path} demo"
    monkeypatch.setenv("PATH", str(heedful_path.parent))
    assert typed("demo") == "heedful demo"
    monkeypatch.setattr(sys, "argv", [str(ROOT / "src" / "heedful" / "__main__.py")])
    assert typed("demo") == f"{sys.executable} -m heedful demo"
