"""The command line as a user meets it: in this process where that is enough, as a program where it is not."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.end_to_end.toy_translation import SENTENCES, TOY, translated

from heedful.cli.main import main
from heedful.training import Run, parse_overrides, train

Call = Callable[..., "Answer"]
Program = Callable[..., subprocess.CompletedProcess[str]]


class Answer(NamedTuple):
    """What a call of ``heedful`` left."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call ``heedful`` in this process; a bug in it is raised, a user's mistake is an exit code."""

    def run(*arguments: str | Path, text: str = "") -> Answer:
        monkeypatch.setattr(sys, "argv", ["heedful", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Answer(int(left.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def heedful_path() -> Path:
    """The installed program."""
    return Path(sys.executable).parent / "heedful"


@pytest.fixture
def program(tmp_path: Path, heedful_path: Path) -> Program:
    """Run ``heedful`` as a program of its own, in a folder of its own."""

    def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        settings: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
        return subprocess.run([heedful_path, *arguments], check=False, **settings | options)

    return run


@pytest.fixture(scope="session")
def model(run: Run) -> Path:
    """The folder of a trained model."""
    return run.folder.absolute()


@pytest.fixture(scope="session")
def many_texts(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Path:
    """A file of one text a line, longer than what is read ahead and than what a pipe holds."""
    path = tmp_path_factory.mktemp("texts") / "many.txt"
    path.write_text("".join(f"{text}\n" for text in texts * 50), encoding="utf-8")
    return path


@pytest.fixture
def recipe_file(recipe: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Path]:
    """Write a small recipe; what the ``recipe`` fixture takes goes through. JSON is YAML."""

    def write(data: Iterable[dict[str, Any]] | None = None, **sections: Any) -> Path:
        made = recipe(**sections) if data is None else recipe(data, **sections)
        path = tmp_path / "recipe.yaml"
        path.write_text(json.dumps(made, default=str), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all.en and all.de, whose lines belong together."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "all.en").write_text("".join(f"{line}\n" for line in SENTENCES), encoding="utf-8")
    (folder / "all.de").write_text("".join(f"{translated(line)}\n" for line in SENTENCES), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def translator(pair_files: Path) -> Path:
    """The folder of a translator of these words."""
    pair = f"{pair_files / 'all.en'}+{pair_files / 'all.de'}"
    given: dict[str, Any] = {**parse_overrides(TOY), "data.train": pair, "data.validation": pair}
    run = train("multi30k_en_de", **given, output=pair_files / "run")
    return run.folder.absolute()
