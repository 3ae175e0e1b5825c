"""Config is data: whatever a folder names as code is neither imported nor run, and nobody is asked over a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from heedful.training import Run

CODE = "open(__file__ + '.ran', 'w').close()\nraise SystemExit('code of a model folder ran')\n"
FILES = (
    "modeling_own",
    "configuration_own",
    "tokenization_own",
    "__init__",
    "conftest",
    "sitecustomize",
    "json",
    "yaml",
)
NAMES_CODE: dict[str, Any] = {
    "auto_map": {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModel": "modeling_own.OwnModel",
        "AutoModelForSequenceClassification": "someone/else--modeling_own.OwnModel",
        "AutoTokenizer": ["tokenization_own.OwnTokenizer", None],
    },
    "custom_pipelines": {"own": {"impl": "modeling_own.OwnPipeline", "pt": ["AutoModel"]}},
    "_attn_implementation": "someone/kernels:attention",
    "_attn_implementation_internal": "modeling_own",
    "attn_implementation": "modeling_own.attention",
    "_name_or_path": "https://example.org/someone/else",
    "architectures": ["OwnModel"],
    "trust_remote_code": True,
}

LOAD = """
import sys
import heedful
from pathlib import Path
from heedful.errors import HeedfulError

folder = Path(sys.argv[1])
seen, watching = [], False

def watch(event, arguments):
    if not watching:
        return
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "urllib.")):
        seen.append((event, *map(str, arguments)))
    if event in ("open", "import", "exec", "compile", "ctypes.dlopen"):
        text = " ".join(map(str, arguments))
        if str(folder) in text and (event != "open" or ".py" in text):
            seen.append((event, text))

sys.addaudithook(watch)
watching = True
for load in (heedful.load_model, heedful.load):
    try:
        load(folder)
        print("loaded")
    except HeedfulError as error:
        print("refused", str(error).replace(chr(10), " "))
watching = False
for event in seen:
    print("seen", *event)
"""


def poison(folder: Path, **changes: Any) -> None:
    for name in FILES:
        (folder / f"{name}.py").write_text(CODE)
    for name in ("config.json", "tokenizer_config.json"):
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def load(folder: Path, place: Path) -> list[str]:
    command = [sys.executable, "-c", LOAD, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_foreign_checkpoint_that_names_code_is_read_as_data(bert_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert_folder, tmp_path / "model"))
    known = {name: value for name, value in NAMES_CODE.items() if name != "trust_remote_code"}
    poison(folder, **known)
    first, second, *seen = load(folder, tmp_path)
    assert first == "loaded"
    assert second.startswith("refused"), "it holds no classification head"
    assert seen == []
    assert not list(folder.rglob("*.ran"))


@pytest.mark.parametrize("name", NAMES_CODE)
def test_each_key_alone_is_data(bert_folder: Path, tmp_path: Path, name: str) -> None:
    """In one process: only what is read is looked at."""
    import heedful
    from heedful.errors import CheckpointError

    folder = Path(shutil.copytree(bert_folder, tmp_path / "model"))
    poison(folder, **{name: NAMES_CODE[name]})
    if name == "trust_remote_code":
        with pytest.raises(CheckpointError, match="trust_remote_code"):
            heedful.load_model(folder)
    else:
        heedful.load_model(folder)
    assert not list(folder.rglob("*.ran"))


def test_a_run_of_ours_with_code_beside_it_is_read_as_data(run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    poison(folder, auto_map=NAMES_CODE["auto_map"])
    first, second, *seen = load(folder, tmp_path)
    assert (first, second) == ("loaded", "loaded")
    assert seen == []
    assert not list(folder.rglob("*.ran"))


def test_the_hook_would_see_it(bert_folder: Path, tmp_path: Path) -> None:
    """The same program, with a loader that does what it must not."""
    folder = Path(shutil.copytree(bert_folder, tmp_path / "model"))
    (folder / "modeling_own.py").write_text("")
    wrong = "heedful.load_model, lambda folder: (sys.path.insert(0, str(folder)), __import__('modeling_own'))"
    program = LOAD.replace("heedful.load_model, heedful.load", wrong)
    assert program != LOAD
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert any(line.startswith("seen") and "modeling_own.py" in line for line in done.stdout.splitlines())
