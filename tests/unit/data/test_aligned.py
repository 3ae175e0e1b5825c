"""Two plain files whose lines belong together."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from heedful.data import Columns, Example, LabelKind, OnBadRow, Source, read_examples, read_rows
from heedful.errors import DataError

ENGLISH = [f"the dog number {number} runs along the long road" for number in range(1, 101)]
GERMAN = [f"der Hund Nummer {number} läuft die lange Straße hinab" for number in range(1, 101)]


def save(path: Path, lines: list[str], *, encoding: str = "utf-8") -> Path:
    content = "".join(f"{line}\n" for line in lines).encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def save_pair(folder: Path, source: list[str], target: list[str]) -> str:
    return f"{save(folder / 'train.en', source)}+{save(folder / 'train.de', target)}"


def pairs(where: Any, **options: Any) -> list[Example]:
    return list(read_examples(where, label_kind=LabelKind.TEXT, **options))


@pytest.mark.parametrize("names", [("train.en", "train.de"), ("train.en.gz", "train.de"), ("a+b.txt", "c+d.de.gz")])
@pytest.mark.parametrize("spelling", ["plus", "mapping"])
def test_lines_belong_together(spelling: str, names: tuple[str, str], tmp_path: Path) -> None:
    source, target = save(tmp_path / names[0], ENGLISH), save(tmp_path / names[1], GERMAN)
    spellings: dict[str, Any] = {
        "plus": f"{source}+{target}",
        "mapping": {"source": source, "target": str(target)},
    }
    where = spellings[spelling]
    expected = [
        Example(english, None, (), number, target=german)
        for number, (english, german) in enumerate(zip(ENGLISH, GERMAN, strict=True), 1)
    ]
    assert pairs(where) == expected
    assert pairs(where, columns=Columns(text="en", target="de")) == expected
    assert next(row.values for row in read_rows(where)) == {"text": ENGLISH[0], "target": GERMAN[0]}


def test_several_pairs_follow_each_other(tmp_path: Path) -> None:
    pair = save_pair(tmp_path, ENGLISH, GERMAN)
    examples = pairs([pair, pair])
    assert len(examples) == 200
    assert examples[150].place == f"{tmp_path / 'train.en'} + {tmp_path / 'train.de'}, row 51"


def test_the_source_alone_is_enough_to_predict(tmp_path: Path) -> None:
    pair = save_pair(tmp_path, ["one", "", "three"], ["eins", "zwei", "drei"])
    examples = list(read_examples(pair, label_kind=LabelKind.NONE))
    assert [(example.text, example.target) for example in examples] == [("one", None), ("", None), ("three", None)]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("blank", ["", " \t"])
def test_an_empty_side(side: int, blank: str, tmp_path: Path) -> None:
    sides = [["one", "two", "three"], ["eins", "zwei", "drei"]]
    sides[side][1] = blank
    pair = save_pair(tmp_path, *sides)
    with pytest.raises(DataError, match=rf"line 2: the text in column '{('text', 'target')[side]}' is empty"):
        pairs(pair)
    assert [example.row for example in pairs(pair, on_bad_row=OnBadRow.SKIP)] == [1, 3]


@pytest.mark.parametrize("policy", list(OnBadRow))
@pytest.mark.parametrize(("missing", "side"), [(40, 0), (40, 1)])
def test_a_line_that_is_missing_in_the_middle(missing: int, side: int, policy: OnBadRow, tmp_path: Path) -> None:
    sides = [[*ENGLISH], [*GERMAN]]
    for lines, short in zip(sides, ("hi", "na"), strict=True):
        lines[missing] = short
    del sides[side][missing]
    counts = ("99 lines, .* has 100", "100 lines, .* has 99")[side]
    with pytest.raises(
        DataError, match=rf"train\.en has {counts}; their lengths first go apart in line 41: \d+ ch"
    ) as caught:
        pairs(save_pair(tmp_path, *sides), on_bad_row=policy)
    assert "find what was left out" in str(caught.value.remedy)


def test_a_file_that_ends_too_soon(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.en has 100 lines, but .*train\.de has 3\n") as caught:
        pairs(save_pair(tmp_path, ENGLISH, GERMAN[:3]))
    assert "go apart" not in caught.value.message


def test_languages_of_unlike_length_do_not_go_apart_by_themselves(tmp_path: Path) -> None:
    chinese = ["那只狗沿着长路跑" for _ in ENGLISH]
    chinese[70] = "狗" * 150
    with pytest.raises(DataError, match="first go apart in line 71: 42 characters beside 150"):
        pairs(save_pair(tmp_path, ENGLISH, chinese[:-1]))


@pytest.mark.parametrize("side", ["en", "de"])
def test_mixed_encodings_name_the_file_and_the_line(side: str, tmp_path: Path) -> None:
    pair = save_pair(tmp_path, GERMAN, GERMAN)
    with (tmp_path / f"train.{side}").open("ab") as file:
        file.write("Straße\n".encode("latin-1"))
    other = tmp_path / f"train.{'de' if side == 'en' else 'en'}"
    with other.open("ab") as file:
        file.write(b"street\n")
    fault = rf"line 101: .*train\.{side} is not valid UTF-8: byte 0xdf, byte 5 of line 101, though .* mixes encodings"
    with pytest.raises(DataError, match=fault):
        pairs(pair)
    assert len(pairs(pair, on_bad_row=OnBadRow.SKIP)) == 100


def test_one_encoding_that_is_not_ours_mixes_nothing(tmp_path: Path) -> None:
    pair = f"{save(tmp_path / 'train.en', ENGLISH)}+{save(tmp_path / 'train.de', GERMAN, encoding='latin-1')}"
    with pytest.raises(DataError, match=r"line 1: .*train\.de is not valid UTF-8") as caught:
        pairs(pair)
    assert "mixes" not in caught.value.message


@pytest.mark.parametrize("side", ["train.en.gz", "train.de.gz"])
def test_a_damaged_side_is_named(side: str, tmp_path: Path) -> None:
    where = f"{save(tmp_path / 'train.en.gz', ENGLISH)}+{save(tmp_path / 'train.de.gz', GERMAN)}"
    (tmp_path / side).write_bytes((tmp_path / side).read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"{side} is damaged"):
        pairs(where)


def test_pairs_that_are_none(tmp_path: Path) -> None:
    english = save(tmp_path / "train.en", ENGLISH)
    table = save(tmp_path / "train.csv", ["text,label", "a,b"])
    faults: list[tuple[Any, str]] = [
        (f"{english}+{tmp_path / 'train.du'}", r"there is no file .*train\.du"),
        (f"{tmp_path / 'x.txt'}+{english}", r"there is no file .*x\.txt"),
        (f"{tmp_path / 'x.txt'}+{tmp_path / 'y.txt'}", r"there is no file .*x\.txt\+.*y\.txt"),
        (f"{english}+{table}", r"train\.csv is csv, and two aligned files are plain text"),
        ({"source": str(english)}, "target: required"),
        ({"source": str(english), "target": str(english), "traget": "x"}, "did you mean target"),
    ]
    for where, fault in faults:
        with pytest.raises(DataError, match=fault):
            Source.parse(where)
    with pytest.raises(DataError, match="have no column 'label'"):
        list(read_examples(f"{english}+{english}", Columns(pair="other")))
    with pytest.raises(DataError, match="has no column 'target'") as caught:
        pairs(save(tmp_path / "alone.txt", ENGLISH))
    assert "two aligned files" in str(caught.value.remedy)


@pytest.mark.parametrize(("identical", "noted"), [(0, False), (2, False), (3, True), (100, True)])
def test_targets_that_are_their_sources(identical: int, noted: bool, tmp_path: Path) -> None:
    pair = save_pair(tmp_path, ENGLISH, [f" {line} " for line in ENGLISH[:identical]] + GERMAN[identical:])
    reader = read_examples(pair, label_kind=LabelKind.TEXT)
    for _ in range(2):
        assert len(list(reader)) == 100
        assert len(reader.notes) == noted
    if noted:
        assert reader.notes[0].startswith(f"{identical} of 100 targets ({identical}.0%) are identical to their sources")
