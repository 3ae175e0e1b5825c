"""Finding data: files, folders, what ships with heedful."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heedful.data import Compression, DataFile, Format, Source, read_examples, read_rows
from heedful.data.source import SHIPPED
from heedful.errors import DataError

# What `datasets` 5.2 writes beside the rows, for a column of class numbers and a column of lists of them.
FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
    "tags": {"feature": {"names": ["a", "b"], "_type": "ClassLabel"}, "_type": "List"},
}
SCHEMA = pa.schema(
    {"text": pa.string(), "label": pa.int64(), "tags": pa.list_(pa.int64())},
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
)
ROWS = [
    {"text": "good", "label": 1, "tags": [0, 1]},
    {"text": "bad", "label": 0, "tags": []},
    {"text": "unlabelled", "label": -1, "tags": None},
]
NAMED = [
    {"text": "good", "label": "pos", "tags": ["a", "b"]},
    {"text": "bad", "label": "neg", "tags": []},
    {"text": "unlabelled", "label": None, "tags": None},
]


def save_to_disk(folder: Path, rows: list[dict[str, Any]], num_shards: int = 1) -> None:
    """Write a folder as ``Dataset.save_to_disk`` does."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05}-of-{num_shards:05}.arrow" for number in range(num_shards)]
    for number, name in enumerate(names):
        table = pa.Table.from_pylist(rows[number::num_shards], schema=SCHEMA)
        with pa.ipc.new_stream(str(folder / name), SCHEMA) as writer:
            writer.write_table(table)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0", "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))


def save_splits(folder: Path, **splits: list[dict[str, Any]]) -> None:
    """Write a folder as ``DatasetDict.save_to_disk`` does."""
    for split, rows in splits.items():
        save_to_disk(folder / split, rows)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"text": "x"}\n')


def values(where: str | Path) -> list[dict[str, Any]]:
    return [row.values for row in read_rows(where)]


def found(where: str | Path) -> list[str]:
    return [file.path.name for file in Source.parse(where).files if file.path]


def test_a_saved_dataset_with_the_names_of_its_classes(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "one", ROWS)
    assert values(tmp_path / "one") == NAMED
    save_to_disk(tmp_path / "shards", ROWS, num_shards=3)
    assert values(str(tmp_path / "shards")) == NAMED


def test_a_saved_dataset_with_several_splits(tmp_path: Path) -> None:
    save_splits(tmp_path / "data", train=ROWS[:1], test=ROWS[1:])
    assert values(f"{tmp_path / 'data'}:train") == NAMED[:1]
    assert values(f"{tmp_path / 'data'}:test") == NAMED[1:]
    for where, fault in [("data", "several splits"), ("data:dev", "no split 'dev'")]:
        with pytest.raises(DataError, match=f"has {fault}; it has train, test"):
            Source.parse(str(tmp_path / where))


def test_parquet_of_the_hub_has_the_names_of_its_classes_too(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS, schema=SCHEMA), tmp_path / "train.parquet")
    assert values(tmp_path / "train.parquet") == NAMED


def test_class_names_become_labels(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "data", ROWS[:2])
    assert [example.labels for example in read_examples(tmp_path / "data")] == [("pos",), ("neg",)]


def test_a_number_without_a_class_is_no_label(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "data", [{"text": "x", "label": 2, "tags": []}])
    assert values(tmp_path / "data")[0]["label"] is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"_data_files": 3}'])
def test_a_damaged_dataset(content: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(DataError, match=r"state\.json is damaged"):
        Source.parse(tmp_path)


def test_a_dataset_with_a_file_missing(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "data", ROWS, num_shards=2)
    (tmp_path / "data" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        values(tmp_path / "data")


def test_the_files_of_a_split_in_a_folder(tmp_path: Path) -> None:
    parts = [f"data/train-0000{number}-of-00002-0123456789abcdef.parquet" for number in (0, 1)]
    touch(tmp_path, *parts, "data/test-00000-of-00001.parquet", "README.md", "data/train_extra-00000.parquet")
    assert found(f"{tmp_path}:train") == [Path(part).name for part in parts]
    assert found(f"{tmp_path}:train_extra") == ["train_extra-00000.parquet"]
    with pytest.raises(DataError, match=r"has no split 'dev'; its files: data/test-00000"):
        Source.parse(f"{tmp_path}:dev")
    with pytest.raises(DataError, match="has several splits"):
        Source.parse(tmp_path)


@pytest.mark.parametrize(
    "name", ["train.jsonl", "train.csv.gz", "my-train.jsonl.zst", "data/x.train.tsv", "default/train/0000.parquet"]
)
def test_names_that_name_a_split(name: str, tmp_path: Path) -> None:
    touch(tmp_path, name, "constrain.jsonl", "training.jsonl", "retrain/0000.jsonl")
    assert found(f"{tmp_path}:train") == [Path(name).name]


def test_subsets_of_a_data_set(tmp_path: Path) -> None:
    touch(tmp_path, "cola/train-0.parquet", "sst2/train-0.parquet", "sst2/train-1.parquet")
    assert found(f"{tmp_path}:sst2/train") == ["train-0.parquet", "train-1.parquet"]
    with pytest.raises(DataError, match="has files of several kinds for the split 'train'"):
        Source.parse(f"{tmp_path}:train")


def test_the_same_split_in_two_formats_is_not_read_twice(tmp_path: Path) -> None:
    touch(tmp_path, "train.csv", "train.jsonl")
    with pytest.raises(DataError, match=r"several kinds .* train\.csv, train\.jsonl"):
        Source.parse(f"{tmp_path}:train")


@pytest.mark.parametrize("name", SHIPPED)
def test_data_sets_that_ship_with_heedful(name: str) -> None:
    for split in ("train", "validation", "test"):
        assert len(values(f"{name}:{split}")) > 100
    with pytest.raises(DataError, match=r"has no split 'dev'; its files: test\.jsonl"):
        Source.parse(f"{name}:dev")


def test_names_of_files() -> None:
    with pytest.raises(DataError, match=r"there is no file missing\.csv"):
        Source.parse("missing.csv")
    with pytest.raises(DataError, match=r"there is no file missing\.parquet\.zst"):
        Source.parse("missing.parquet.zst")
    with pytest.raises(DataError, match="there is no file or folder missing"):
        Source.parse("missing")
    with pytest.raises(DataError, match="name the split too, such as some/where:train"):
        Source.parse("some/where")


def test_a_format_that_cannot_be_told(tmp_path: Path) -> None:
    touch(tmp_path, "data.doc", "data.csv.bz2")
    for name in ("data.doc", "data.csv.bz2"):
        with pytest.raises(DataError, match="does not tell its format") as caught:
            Source.parse(tmp_path / name)
        assert ".jsonl" in str(caught.value.remedy)
    with pytest.raises(DataError, match=r"'json' is no format of data\ndid you mean jsonl\?"):
        Source.parse(tmp_path / "data.doc", format="json")


def test_a_list_of_sources(tmp_path: Path) -> None:
    touch(tmp_path, "a.jsonl", "b.txt.gz")
    source = Source.parse((tmp_path / "a.jsonl", str(tmp_path / "b.txt.gz"), "-"))
    assert source.files == (
        DataFile(tmp_path / "a.jsonl", Format.JSONL),
        DataFile(tmp_path / "b.txt.gz", Format.TEXT, Compression.GZIP),
        DataFile(None, None),
    )
    with pytest.raises(DataError, match="is empty"):
        Source.parse([])
