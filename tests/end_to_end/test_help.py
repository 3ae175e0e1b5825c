"""What the command line says about itself."""

from __future__ import annotations

import shlex
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import typer

import heedful
from heedful.cli.main import VERBS, app

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call, Program

EXAMPLES = [pytest.param(verb, example, id=example) for verb in VERBS for example in verb.EXAMPLES]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_verbs(call: Call, flag: str) -> None:
    answer = call(flag)
    assert answer.exit_code == 0
    assert all(f"\n  {verb.NAME} " in answer.stdout for verb in VERBS)
    assert "Exit codes:" in answer.stdout


def test_no_verb_shows_the_help(call: Call) -> None:
    answer = call()
    assert answer.exit_code == 2
    assert "Commands:" in answer.stdout + answer.stderr


def test_version(call: Call) -> None:
    answer = call("--version")
    assert (answer.exit_code, answer.stdout) == (0, f"heedful {heedful.__version__}\n")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.NAME)
def test_help_of_a_verb_has_what_a_user_needs(call: Call, verb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = call(verb.NAME, "--help")
    assert answer.exit_code == 0
    assert "Examples:" in answer.stdout
    assert "--json" in answer.stdout
    assert all(f"    {example}\n" in answer.stdout for example in verb.EXAMPLES)
    examples = {f"    {example}" for example in verb.EXAMPLES}
    assert all(len(line) <= 80 for line in answer.stdout.splitlines() if line not in examples)


@pytest.mark.parametrize(("verb", "example"), EXAMPLES)
def test_example_is_a_command_that_parses(verb: ModuleType, example: str) -> None:
    stages = [shlex.split(stage.split(">")[0]) for stage in example.split(" | ")]
    [(name, *arguments)] = [stage[1:] for stage in stages if stage[0] == "heedful"]
    assert name == verb.NAME
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, arguments).args == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evalute"], ["No such command 'evalute'", "Did you mean 'evaluate'?"]),
        (["--nosuch"], ["No such option: --nosuch", "heedful --help"]),
        (["predict", "model", "--jsn"], ["No such option: --jsn", "--json"]),
        (["predict"], ["Missing argument 'MODEL'", "heedful predict --help"]),
        (["evaluate", "model"], ["Missing argument 'DATA'"]),
        (["predict", "model", "--top", "0"], ["'--top'", "greater than or equal to 1"]),
        (["predict", "model", "--on-bad-row", "ignore"], ["'ignore'", "error", "skip"]),
        (["evaluate", "model", "data", "--resamples", "many"], ["'--resamples'", "integer"]),
    ],
    ids=" ".join,
)
def test_misspelt_command_is_explained(call: Call, arguments: list[str], told: list[str]) -> None:
    answer = call(*arguments)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert all(words in answer.stderr for words in told), answer.stderr


def test_runs_as_a_module(program: Program) -> None:
    done = program("-m", "heedful", "--version", executable=sys.executable)
    assert done.stdout == f"heedful {heedful.__version__}\n"
