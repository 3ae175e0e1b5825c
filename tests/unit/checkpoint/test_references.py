"""References to files: only what lies inside a folder is ever opened."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heedful.checkpoint import inside, open_weights, read_json, write_weights
from heedful.errors import CheckpointError

SECRET = "held outside"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder, and beside it what must not be opened."""
    model = tmp_path / "model"
    (model / "deep").mkdir(parents=True)
    (model / "file.json").write_text("{}")
    (model / "deep" / "file.json").write_text("{}")
    (tmp_path / "secret.safetensors").write_text(SECRET)
    (model / "out.safetensors").symlink_to(tmp_path / "secret.safetensors")
    (model / "away").symlink_to(tmp_path)
    (model / "within").symlink_to("deep/file.json")
    (model / "circle").symlink_to("circle")
    return model


@pytest.mark.parametrize("name", ["file.json", "deep/file.json", "within", "missing.bin", "a b(1)+c@d,e=f.bin"])
def test_what_lies_inside_is_found(folder: Path, name: str) -> None:
    assert inside(folder, name) == folder / name
    assert inside(Path(f"{folder}/deep/.."), name).name == Path(name).name


HOSTILE = {
    "../secret.safetensors": "holds '..'",
    "deep/../../secret.safetensors": "holds '..'",
    "..": "holds '..'",
    "/etc/passwd": "is not the name of a file inside the folder",
    "": "is not the name of a file inside the folder",
    "%2e%2e/secret.safetensors": "U+0025",
    "..\\secret.safetensors": "U+005C",
    "C:\\secret": "U+003A",
    "file\0.json": "U+0000",
    "file.json\n": "U+000A",
    "~/secret": "U+007E",
    "file\u2024json": "U+2024 ('\\u2024')",
    "f\u0456le.json": "U+0456",
    "\uff0e\uff0e/secret.safetensors": "U+FF0E",
    "\u202egnp.json": "U+202E",
    "out.safetensors": "is a link out of the folder",
    "away/secret.safetensors": "is a link out of the folder",
    "away": "is a link out of the folder",
    "x" * 300: "has 300 characters",
}


@pytest.mark.parametrize(("name", "reason"), HOSTILE.items())
def test_what_leads_out_or_can_be_mistaken_is_refused(folder: Path, name: str, reason: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        inside(folder, name)
    assert reason in caught.value.message
    assert str(folder) in caught.value.message
    assert caught.value.message.isprintable()
    assert caught.value.remedy


def test_a_circle_of_links_is_no_file(folder: Path) -> None:
    with suppress(CheckpointError):  # some Pythons see the circle while they follow it
        assert not inside(folder, "circle").is_file()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters() | st.sampled_from("./\\%~\0-")) | st.sampled_from([*HOSTILE, "deep"]))
def test_whatever_is_allowed_stays_inside(folder: Path, name: str) -> None:
    try:
        path = inside(folder, name)
    except CheckpointError:
        return
    assert path.resolve().is_relative_to(folder.resolve())


def test_links_of_the_hub_cache_are_followed(tmp_path: Path) -> None:
    """In the cache of the Hub a snapshot's files are links to blobs, of the repository or of the whole cache."""
    repository = tmp_path / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for number, blobs in enumerate([repository / "blobs", tmp_path / "hub" / "blobs"]):
        blobs.mkdir()
        (blobs / "abc").write_text(json.dumps({"number": number}))
        (snapshot / f"{number}.json").symlink_to(blobs / "abc")
        assert read_json(snapshot / f"{number}.json") == {"number": number}
    (tmp_path / "hub" / "other").write_text("{}")
    (snapshot / "out.json").symlink_to(tmp_path / "hub" / "other")
    with pytest.raises(CheckpointError, match="is a link out of the folder"):
        read_json(snapshot / "out.json")


def test_a_folder_that_only_looks_like_the_hub_cache_gains_nothing(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "abc").write_text("{}")
    for repository in (tmp_path / "models--a--b", tmp_path / "mine"):
        snapshot = repository / "snapshots" / "1"
        snapshot.mkdir(parents=True)
        (repository / "blobs").symlink_to(tmp_path / "outside")
        (snapshot / "x.json").symlink_to(tmp_path / "outside" / "abc")
        (snapshot / "y.json").symlink_to("../../blobs/abc")
        for name in ("x.json", "y.json"):
            with pytest.raises(CheckpointError, match="is a link out of the folder"):
                read_json(snapshot / name)


WATCH = """
import os, sys
from heedful.checkpoint import open_weights, read_json
from heedful.errors import CheckpointError

folder = sys.argv[1]
opened = []
watching = False

def watch(event, arguments):
    if watching and event in ("open", "os.open", "import", "exec", "os.system", "subprocess.Popen", "socket.connect"):
        opened.append(str(arguments[0]))

sys.addaudithook(watch)
for model in sorted(os.listdir(folder)):
    place = os.path.join(folder, model)
    watching = True
    try:
        weights = open_weights(place, allow_pickle=True)
        for name in weights:
            weights.tensor(name)
        read_json(__import__("pathlib").Path(place) / "config.json")
        result = "read"
    except CheckpointError as error:
        result = "refused"
    watching = False
    print(model, result, *opened, sep="\\t")
    opened.clear()
"""


def test_nothing_outside_is_opened(tmp_path: Path) -> None:
    """Python itself reports whatever is opened, imported or run."""
    outside = tmp_path / "outside"
    outside.mkdir()
    write_weights(outside, {"w": torch.zeros(2)})
    torch.save({"w": torch.zeros(2)}, outside / "pytorch_model.bin")
    (outside / "config.json").write_text("{}")
    models = tmp_path / "models"
    references = [*HOSTILE, "../../outside/model.safetensors", str(outside / "model.safetensors")]
    for number, name in enumerate(references):
        for kind in ("model.safetensors", "pytorch_model.bin"):
            model = models / f"{number}-{kind}"
            model.mkdir(parents=True)
            (model / "out.safetensors").symlink_to(outside / "model.safetensors")
            (model / "away").symlink_to(outside)
            (model / "config.json").write_text("{}")
            (model / f"{kind}.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    for name in ("model.safetensors", "pytorch_model.bin", "config.json"):
        model = models / f"linked-{name}"
        model.mkdir()
        (model / name).symlink_to(outside / name)
        if name == "config.json":
            write_weights(model, {"w": torch.zeros(2)})
    good = models / "good"
    good.mkdir()
    (good / "config.json").write_text("{}")
    write_weights(good, {"w": torch.zeros(2)})

    command = [sys.executable, "-c", WATCH, str(models)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == 2 * len(references) + 3 + 1
    for name, result, *opened in lines:
        assert result == ("read" if name == "good" else "refused"), name
        assert bool(opened) or name.startswith("linked-"), "the hook sees what is opened"
        for path in opened:
            assert Path(path).resolve().is_relative_to((models / name).resolve()), f"{name} opened {path}"


def test_an_index_that_leads_out_says_so(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"w": "../secret.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"refers to the file '\.\./secret\.safetensors', which holds '\.\.'"):
        open_weights(folder)
