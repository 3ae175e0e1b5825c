"""Rows as examples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heedful.data import Columns, Example, LabelKind, OnBadRow, read_examples
from heedful.errors import DataError


def save(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_one_label(tmp_path: Path) -> None:
    path = save(tmp_path, {"text": "hi", "label": "a", "more": [1]}, {"text": " 你好 ", "label": 3})
    assert list(read_examples(path)) == [Example("hi", None, ("a",), 1), Example(" 你好 ", None, ("3",), 2)]


def test_columns_by_name(tmp_path: Path) -> None:
    path = save(tmp_path, {"premise": "p", "hypothesis": "h", "gold": "a"})
    columns = Columns(text="premise", pair="hypothesis", label="gold")
    assert list(read_examples(path, columns)) == [Example("p", "h", ("a",), 1)]


def test_several_labels(tmp_path: Path) -> None:
    rows = [["a", "b"], [], "b|c", "", ["a", 2, "a"]]
    path = save(tmp_path, *({"text": "x", "label": labels} for labels in rows))
    examples = read_examples(path, label_kind=LabelKind.MULTI)
    assert [example.labels for example in examples] == [("a", "b"), (), ("b", "c"), (), ("a", "2")]
    semicolons = save(tmp_path, {"text": "x", "label": "a;b|c"})
    columns = Columns(label_separator=";")
    assert next(iter(read_examples(semicolons, columns, label_kind=LabelKind.MULTI))).labels == ("a", "b|c")


def test_no_label_is_looked_for_where_none_is_needed(tmp_path: Path) -> None:
    path = save(tmp_path, {"text": "x"}, {"text": "y", "label": None})
    assert [example.labels for example in read_examples(path, label_kind=LabelKind.NONE)] == [(), ()]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"text": "", "label": "a"}, "the text in column 'text' is empty"),
        ({"text": " \n\t", "label": "a"}, "the text in column 'text' is empty"),
        ({"text": None, "label": "a"}, "the column 'text' holds nothing"),
        ({"text": 3, "label": "a"}, "the column 'text' holds int 3, not a text"),
        ({"text": "a\0b", "label": "a"}, "the text in column 'text' holds a NUL byte"),
        ({"text": "a\ud800", "label": "a"}, "the text in column 'text' holds half of a surrogate pair"),
        ({"text": "x", "label": None}, "it has no label"),
        ({"text": "x", "label": ""}, "it has no label"),
        ({"text": "x", "label": 0.5}, "its label is float 0.5"),
        ({"text": "x", "label": True}, "its label is bool True"),
        ({"text": "x", "label": ["a"]}, "it has several labels; set labels to multi"),
        ({"text": "x", "label": "\ud800"}, "the text in column 'label' holds half"),
        ({"text": "x"}, "has no column 'label'; known: text"),
    ],
)
def test_a_row_that_is_no_example(row: dict[str, Any], fault: str, tmp_path: Path) -> None:
    good = {"text": "good", "label": "a"}
    path = save(tmp_path, good, row, good)
    with pytest.raises(DataError, match=f"line 2: {fault}"):
        list(read_examples(path))
    reader = read_examples(path, on_bad_row=OnBadRow.SKIP)
    assert [example.row for example in reader] == [1, 3]
    assert reader.bad_rows.count == 1
    assert reader.bad_rows.reasons[0].startswith(f"{path}, line 2: {fault}")


@pytest.mark.parametrize("labels", [None, {"a": 1}, ["a", None], ["a", ["b"]]])
def test_labels_that_are_none(labels: object, tmp_path: Path) -> None:
    path = save(tmp_path, {"text": "x", "label": labels})
    with pytest.raises(DataError, match="line 1: it"):
        list(read_examples(path, label_kind=LabelKind.MULTI))


def test_an_empty_second_text(tmp_path: Path) -> None:
    path = save(tmp_path, {"text": "x", "other": "", "label": "a"})
    with pytest.raises(DataError, match="the text in column 'other' is empty"):
        list(read_examples(path, Columns(pair="other")))


def test_nothing_but_bad_rows_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    path = save(tmp_path, *[{"text": "", "label": "a"}] * 7)
    with pytest.raises(DataError, match=r"no row of .* can be used:\n7 bad rows skipped\n.*line 1: the text") as caught:
        list(read_examples(path, on_bad_row=OnBadRow.SKIP))
    assert "and 2 more" in str(caught.value)


def test_a_reader_can_be_read_again_and_counts_anew(tmp_path: Path) -> None:
    reader = read_examples(save(tmp_path, {"text": "x", "label": "a"}, {"text": ""}), on_bad_row=OnBadRow.SKIP)
    for _ in range(2):
        assert len(list(reader)) == 1
        assert reader.bad_rows.count == 1


def test_a_missing_file_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_examples(tmp_path / "missing.jsonl")


def test_rows_are_read_only_as_far_as_they_are_wanted(tmp_path: Path) -> None:
    path = save(tmp_path, {"text": "x", "label": "a"})
    with path.open("a") as file:
        file.write("no JSON at all\n")
    assert next(iter(read_examples(path))).text == "x"


def test_texts_that_are_to_be_written(tmp_path: Path) -> None:
    path = save(tmp_path, {"text": "hi", "target": "hallo", "label": 3}, {"text": "你好", "target": " hi "})
    assert list(read_examples(path, label_kind=LabelKind.TEXT)) == [
        Example("hi", None, (), 1, target="hallo"),
        Example("你好", None, (), 2, target=" hi "),
    ]
    assert [example.target for example in read_examples(path, label_kind=LabelKind.NONE)] == [None, None]


@pytest.mark.parametrize("side", ["text", "target"])
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (None, "holds nothing"),
        (3, "holds int 3, not a text"),
        ("a\0b", "holds a NUL byte"),
        ("\ud800", "holds half of a surrogate pair"),
    ],
)
def test_a_side_that_is_no_text(side: str, value: object, fault: str, tmp_path: Path) -> None:
    good = {"text": "good", "target": "gut"}
    path = save(tmp_path, good, {**good, side: value}, good)
    with pytest.raises(DataError, match=f"line 2: the .*column '{side}' {fault}"):
        list(read_examples(path, label_kind=LabelKind.TEXT))
    reader = read_examples(path, label_kind=LabelKind.TEXT, on_bad_row=OnBadRow.SKIP)
    assert [example.row for example in reader] == [1, 3]


def save_nested(folder: Path, form: str, rows: list[dict[str, Any]]) -> Path:
    if form == "jsonl":
        return save(folder, *rows)
    path, table = folder / f"data.{form}", pa.Table.from_pylist(rows)
    if form == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table)
    return path


NESTED = Columns(text="translation.en", target="translation.de", label="meta.kind.name")


@pytest.mark.parametrize("form", ["jsonl", "parquet", "arrow"])
def test_dotted_names_reach_into_objects(form: str, tmp_path: Path) -> None:
    row = {"id": 1, "translation": {"en": "hi", "de": "hallo", "fr": "salut"}, "meta": {"kind": {"name": "a"}}}
    path = save_nested(tmp_path, form, [row, row])
    assert list(read_examples(path, NESTED, label_kind=LabelKind.TEXT)) == [
        Example("hi", None, (), number, target="hallo") for number in (1, 2)
    ]
    assert next(iter(read_examples(path, NESTED))).labels == ("a",)
    for wrong, known in [("translation.du", "did you mean translation.de?"), ("translation.de.x", "did you mean")]:
        with pytest.raises(DataError, match=rf"has no column '{wrong}'; {re.escape(known)}"):
            list(read_examples(path, NESTED.model_copy(update={"target": wrong}), label_kind=LabelKind.TEXT))


@pytest.mark.parametrize("form", ["jsonl", "parquet", "arrow"])
def test_nothing_in_a_column_of_objects(form: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"translation": {"en": "hi", "de": "hallo"}},
        {"translation": None},
        {"translation": {"en": "x", "de": None}},
    ]
    reader = read_examples(
        save_nested(tmp_path, form, rows), NESTED, label_kind=LabelKind.TEXT, on_bad_row=OnBadRow.SKIP
    )
    assert [example.row for example in reader] == [1]
    assert "'translation.en' holds nothing" in reader.bad_rows.reasons[0]
    assert "'translation.de' holds nothing" in reader.bad_rows.reasons[1]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "arrow", "csv"])
def test_a_column_may_have_a_dot_in_its_own_name(form: str, tmp_path: Path) -> None:
    if form == "csv":
        path = tmp_path / "data.csv"
        path.write_text("translation.en,translation.de\nhi,hallo\n")
    else:
        path = save_nested(tmp_path, form, [{"translation.en": "hi", "translation.de": "hallo"}])
    assert [example.target for example in read_examples(path, NESTED, label_kind=LabelKind.TEXT)] == ["hallo"]
