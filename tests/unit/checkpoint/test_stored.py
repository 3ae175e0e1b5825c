"""The weight files of a folder: single, sharded or pickled, and every way in which they can disagree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from heedful.checkpoint import open_weights, write_weights
from heedful.errors import CheckpointError

TENSORS = {
    "embedding": torch.arange(12.0).view(4, 3),
    "layer.0.weight": torch.arange(6).view(2, 3),
    "layer.1.weight": torch.full((5,), 0.5, dtype=torch.bfloat16),
    "scale": torch.tensor(2.0, dtype=torch.float64),
}
INDEX = "model.safetensors.index.json"
Spoil = Callable[[Path], None]


def save_pickle(tensors: dict[str, Tensor], path: Path) -> None:
    torch.save(tensors, path)


def save_sharded(folder: Path, name: str, save: Callable[[dict[str, Tensor], Path], None]) -> None:
    """Two shards and their index, as upstream writes them."""
    stem, ending = name.rsplit(".", 1)
    places = {}
    for number, shard in enumerate((list(TENSORS)[:2], list(TENSORS)[2:]), 1):
        file = f"{stem}-{number:05d}-of-00002.{ending}"
        save({tensor: TENSORS[tensor] for tensor in shard}, folder / file)
        places.update(dict.fromkeys(shard, file))
    (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))


FORMS: dict[str, Spoil] = {
    "safetensors": lambda folder: save_file(TENSORS, folder / "model.safetensors"),
    "safetensors shards": lambda folder: save_sharded(folder, "model.safetensors", save_file),
    "pickle": lambda folder: save_pickle(TENSORS, folder / "pytorch_model.bin"),
    "pickle shards": lambda folder: save_sharded(folder, "pytorch_model.bin", save_pickle),
    "ours": lambda folder: write_weights(folder, TENSORS),
    "our shards": lambda folder: write_weights(folder, TENSORS, max_shard_bytes=60),
}


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    save_sharded(tmp_path, "model.safetensors", save_file)
    return tmp_path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors(tmp_path: Path, form: str) -> None:
    FORMS[form](tmp_path)
    stored = open_weights(str(tmp_path), allow_pickle="pickle" in form)
    assert set(stored) == set(TENSORS)
    assert len(stored) == len(TENSORS)
    for name, tensor in TENSORS.items():
        assert (stored[name].dtype, stored[name].shape) == (tensor.dtype, tuple(tensor.shape))
        assert torch.equal(stored.tensor(name), tensor)
        assert (tmp_path / stored[name].file).is_file()
    with pytest.raises(KeyError):
        stored["no such tensor"]


@pytest.mark.parametrize("form", ["pickle", "pickle shards"])
def test_pickles_are_read_only_where_allowed_and_no_safetensors_are_there(tmp_path: Path, form: str) -> None:
    FORMS[form](tmp_path)
    with pytest.raises(CheckpointError, match=r"are a pickle, pytorch_model\.bin") as caught:
        open_weights(tmp_path)
    assert "--allow-pickle" in str(caught.value.remedy)
    save_file({"other": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert set(open_weights(tmp_path, allow_pickle=True)) == {"other"}


def test_a_folder_without_weights_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors does not exist"):
        open_weights(tmp_path, allow_pickle=True)
    for place in (tmp_path / "missing", "a\0b", "x" * 5000):
        with pytest.raises(CheckpointError, match="there is no folder"):
            open_weights(place)


def rewrite(folder: Path, **places: str | None) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"] = {name: file for name, file in (index["weight_map"] | places).items() if file is not None}
    (folder / INDEX).write_text(json.dumps(index))


def truncate(folder: Path) -> None:
    file = folder / "model-00002-of-00002.safetensors"
    file.write_bytes(file.read_bytes()[:-3])


def point(folder: Path) -> None:
    (folder / "model-00001-of-00002.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 12345\n"
    )


def add(folder: Path, name: str) -> None:
    file = folder / "model-00001-of-00002.safetensors"
    save_file(load_file(file) | {name: torch.zeros(1)}, file)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncate, r"model-00002-of-00002\.safetensors is not a whole safetensors file: it is truncated"),
        (point, r"model-00001-of-00002\.safetensors is a Git-LFS pointer"),
        (
            lambda folder: (folder / "model-00001-of-00002.safetensors").unlink(),
            r"names 2 weight files, and 1 do not exist: model-00001-of-00002\.safetensors",
        ),
        (
            lambda folder: rewrite(folder, stranger="model-00001-of-00002.safetensors"),
            r"says that model-00001-of-00002\.safetensors holds the tensor 'stranger', and it does not",
        ),
        (
            lambda folder: rewrite(folder, scale="model-00001-of-00002.safetensors"),
            r"says that model-00001-of-00002\.safetensors holds the tensor 'scale', and it does not",
        ),
        (
            lambda folder: add(folder, "scale"),
            r"holds the tensor 'scale' twice, in model-00001-of-00002\.safetensors and in model-00002",
        ),
        (
            lambda folder: add(folder, "stranger"),
            r"model-00001-of-00002\.safetensors holds the tensor 'stranger', which .*index\.json does not name",
        ),
        (lambda folder: rewrite(folder, scale=None), "holds the tensor 'scale', which .* does not name"),
        (lambda folder: rewrite(folder, scale="../x.safetensors"), r"which holds '\.\.'"),
        (lambda folder: rewrite(folder, scale="deep"), "and 1 do not exist: deep"),
        (lambda folder: (folder / INDEX).write_text("{}"), "holds no weight_map from tensors to files"),
        (lambda folder: (folder / INDEX).write_text('{"weight_map": {}}'), "holds no weight_map"),
        (lambda folder: (folder / INDEX).write_text('{"weight_map": ["a"]}'), "holds no weight_map"),
        (lambda folder: (folder / INDEX).write_text('{"weight_map": {"a": 1}}'), "holds no weight_map"),
        (lambda folder: (folder / INDEX).write_text('{"weight_map": {"a": "b", "a": "c"}}'), "'a' occurs twice"),
        (lambda folder: (folder / INDEX).write_text("[" * 200_000), "200,000 levels of nesting"),
    ],
)
def test_every_disagreement_has_its_message(sharded: Path, spoil: Spoil, reason: str) -> None:
    (sharded / "deep").mkdir()
    spoil(sharded)
    with pytest.raises(CheckpointError, match=reason) as caught:
        open_weights(sharded)
    assert caught.value.remedy


WEIGHT_MAPS = st.dictionaries(
    st.sampled_from([*TENSORS, "stranger"]) | st.text(max_size=3),
    st.sampled_from(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", INDEX, ".", "deep"])
    | st.text(max_size=5)
    | st.none(),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional={"weight_map": WEIGHT_MAPS, "metadata": st.none()}))
def test_whatever_an_index_says_only_our_errors_come_out(sharded: Path, index: dict[str, object]) -> None:
    (sharded / INDEX).write_text(json.dumps(index))
    try:
        stored = open_weights(sharded)
    except CheckpointError as error:
        assert error.remedy
    else:
        assert set(stored) == set(TENSORS)


@pytest.mark.parametrize("limit", [1, 24, 60, 108, 10**9, None])
def test_shards_keep_to_their_limit_and_the_library_reads_them(tmp_path: Path, limit: int | None) -> None:
    write_weights(tmp_path, TENSORS, max_shard_bytes=limit)
    files = sorted(path.name for path in tmp_path.iterdir())
    total = sum(tensor.nbytes for tensor in TENSORS.values())
    if limit is None or limit >= total:
        assert files == ["model.safetensors"]
        return
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"] == {"total_size": total}
    assert files == sorted({*index["weight_map"].values(), INDEX})
    count = len(files) - 1
    assert set(index["weight_map"].values()) == {
        f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)
    }
    read: dict[str, Tensor] = {}
    for file in set(index["weight_map"].values()):
        shard = load_file(tmp_path / file)
        assert len(shard) == 1 or sum(tensor.nbytes for tensor in shard.values()) <= limit
        assert all(index["weight_map"][name] == file for name in shard)
        read |= shard
    assert all(torch.equal(read[name], tensor) for name, tensor in TENSORS.items())


def test_what_was_read_can_be_written_again(tmp_path: Path) -> None:
    """Views of one mapped file, a transposed tensor and one under two names."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    write_weights(source, TENSORS)
    stored = open_weights(source)
    tensors = {name: stored.tensor(name) for name in stored}
    tensors |= {"again": tensors["embedding"], "turned": tensors["embedding"].t()}
    write_weights(target, tensors)
    written = load_file(target / "model.safetensors")
    assert set(written) == set(tensors)
    assert all(torch.equal(written[name], tensor) for name, tensor in tensors.items())
