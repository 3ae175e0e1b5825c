"""A translation memory: what was translated before is answered by it, as it stands or but for case and blanks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data import Columns, OnBadRow
from heedful.errors import DataError
from heedful.tasks.text_to_text.memory import SIDES, TranslationMemory

ROWS = [("Good morning", "Guten Morgen"), ("good  night", "gute Nacht"), ("Straße", "street")]
TMX = """<?xml version="1.0"?><tmx version="1.4"><header/><body>
<tu><tuv xml:lang="en"><seg>Good morning</seg></tuv><tuv xml:lang="de-AT"><seg>Guten Morgen</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>good  night</seg></tuv><tuv xml:lang="de"><seg>gute Nacht</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Straße</seg></tuv><tuv xml:lang="de"><seg>street</seg></tuv></tu>
</body></tmx>"""


def written(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Rows as a file of the format that its name says."""
    if path.suffix == ".tmx":
        path.write_text(TMX, encoding="utf-8")
    elif path.suffix == ".jsonl":
        lines = [json.dumps({"source": source, "target": target}) for source, target in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        between = {".tsv": "\t", ".csv": ","}[path.suffix]
        path.write_text("".join(f"{s}{between}{t}\n" for s, t in [("source", "target"), *rows]), encoding="utf-8")
    return path


@pytest.fixture(params=["tsv", "csv", "jsonl", "tmx"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> TranslationMemory:
    columns = Columns(text="en", target="de") if request.param == "tmx" else SIDES
    return TranslationMemory.read(str(written(tmp_path / f"memory.{request.param}", ROWS)), columns)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Good morning", "Guten Morgen"),
        ("GOOD  MORNING\n", "Guten Morgen"),
        ("Good night", "gute Nacht"),
        ("STRASSE", "street"),
        ("Good", None),
        ("Good morning!", None),
        ("", None),
    ],
)
def test_what_was_translated_before_is_found(memory: TranslationMemory, text: str, answer: str | None) -> None:
    assert len(memory) == 3
    assert memory.notes == ()
    found = memory.find(text)
    assert (None if found is None else found.text) == answer
    assert (text in memory) == (answer is not None)
    if found is not None:
        assert found.origin == "memory"
        assert found.is_complete
        assert found.confidence is None


def test_an_empty_memory_knows_nothing() -> None:
    assert len(TranslationMemory()) == 0
    assert "" not in TranslationMemory()


def test_of_entries_that_disagree_the_last_one_counts_and_is_told(tmp_path: Path) -> None:
    rows = [("a", "1"), ("b", "2"), ("a", "1"), ("a", "3"), ("A ", "4")]
    memory = TranslationMemory.read(str(written(tmp_path / "memory.tsv", rows)))
    assert [memory.find(text).text for text in ("a", "A ", "A", "b")] == ["3", "4", "4", "2"]  # type: ignore[union-attr]
    assert memory.notes == (
        "2 entries of the memory disagree with one before them; the last one counts",
        "row 5: 'a' stands for another text than at row 4",
        "row 6: 'A ' stands for another text than at row 5",
    )


def test_many_conflicts_are_counted(tmp_path: Path) -> None:
    memory = TranslationMemory.read(str(written(tmp_path / "memory.tsv", [("a", str(n)) for n in range(9)])))
    assert memory.notes[0].startswith("8 entries")
    assert len(memory.notes) == 7
    assert memory.notes[-1] == "and 3 more"


@pytest.mark.parametrize("rows", [[("a", "")], [("", "b")], []])
def test_rows_that_lack_a_side_are_refused(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    with pytest.raises(DataError):
        TranslationMemory.read(str(written(tmp_path / "memory.tsv", rows)))


def test_bad_rows_may_be_left_out_and_are_told(tmp_path: Path) -> None:
    place = written(tmp_path / "memory.tsv", [("a", ""), ("b", "2")])
    memory = TranslationMemory.read(str(place), on_bad_row=OnBadRow.SKIP)
    assert len(memory) == 1
    assert memory.notes[0] == "1 bad row skipped"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'de'"):
        TranslationMemory.read(str(written(tmp_path / "memory.tsv", ROWS)), Columns(text="source", target="de"))


def test_a_malformed_file_is_told_with_its_line(tmp_path: Path) -> None:
    place = tmp_path / "memory.tmx"
    place.write_text(TMX.replace("</tuv></tu>", "</tu>", 1), encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        TranslationMemory.read(str(place), Columns(text="en", target="de"))


@given(text=st.text(min_size=1), blanks=st.sampled_from([" ", "\t", "\n  ", "\u00a0"]))
def test_case_and_blanks_never_count(text: str, blanks: str) -> None:
    memory = TranslationMemory({"Some Words": "1"}, {"some words": "1"})
    found = memory.find(f"{blanks}sOmE{blanks}worDS")
    assert found is not None
    assert found.text == "1"
    if "some words" not in text.casefold():
        assert memory.find(text) is None
