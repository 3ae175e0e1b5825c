"""``heedful quantize`` and ``--precision int8`` on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from heedful.inference import INT8_FILE
from heedful.training import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.conftest import Call


@pytest.fixture
def copied(translator: Path, tmp_path: Path) -> Path:
    """A translator whose folder may be written to."""
    return Path(shutil.copytree(translator, tmp_path / "translator"))


def test_a_translator_on_integers_writes_the_same(call: Call, copied: Path, pair_files: Path) -> None:
    pairs = f"{pair_files / 'all.en'}+{pair_files / 'all.de'}"
    answer = call("quantize", copied, "--calibrate", pairs)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith(f"{copied / INT8_FILE}: ")
    text = "dog red blue\ncat green bird\n"
    for precision in ("int8", "int8-weights"):
        for engine in ("eager", "openvino"):
            written = call("translate", copied, "--precision", precision, "--engine", engine, text=text)
            assert written.stdout == "hund rot blau\nkatze grün vogel\n"
    compared = call("evaluate", copied, pairs, "--precision", "int8", "--against", copied, "--json", "--resamples", 50)
    assert json.loads(compared.stdout)["metrics"]["chrf"]["value"] > 99


def test_a_classifier_is_rounded_and_the_figures_are_told(
    call: Call, run_copy: Path, rows: tuple[dict[str, str], ...], jsonl: Callable[..., Path]
) -> None:
    data = jsonl(rows, "held-out.jsonl")
    told = json.loads(call("quantize", run_copy, "--calibrate", data, "--limit", 60, "--json").stdout)
    assert told["metric"] == "accuracy"
    assert told["examples"] == 60
    assert told["kept"] == []
    exact, rounded = (
        call("predict", run_copy, *options, text="my card was swallowed\n").stdout.split("\t")
        for options in ([], ["--precision", "int8"])
    )
    assert exact[0] == rounded[0] == "card"
    assert abs(float(exact[1]) - float(rounded[1])) < 0.05


def test_mistakes_are_told(call: Call, run: Run, tmp_path: Path) -> None:
    missing = call("quantize", run.folder, "--calibrate", tmp_path / "nothing.jsonl")
    assert missing.exit_code == 2
    assert "nothing.jsonl" in missing.stderr
    assert not (run.folder / INT8_FILE).exists()
    assert call("predict", run.folder, "--precision", "int3", text="a\n").exit_code == 2
