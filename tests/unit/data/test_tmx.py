"""Translation memories."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data import BadRows, Columns, Example, LabelKind, OnBadRow, read_examples, read_rows
from heedful.data.files import MAX_LINE_BYTES
from heedful.errors import DataError

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
<header/>
<body>
"""
TAIL = "</body>\n</tmx>\n"


def unit(*variants: tuple[str, str]) -> str:
    inner = "".join(f'<tuv xml:lang="{language}"><seg>{text}</seg></tuv>' for language, text in variants)
    return f"<tu>\n{inner}\n</tu>\n"


GOOD = unit(("en", "Hello"), ("de", "Hallo"))


def save(folder: Path, content: str | bytes) -> Path:
    path = folder / "memory.tmx"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, source: str = "en", target: str = "de") -> list[Example]:
    return list(read_examples(path, Columns(text=source, target=target), label_kind=LabelKind.TEXT))


def test_units_are_rows_and_languages_are_columns(tmp_path: Path) -> None:
    more = unit(("de", "Bär &amp; Co &#x1F43B;"), ("fr", "ours"), ("en", "bear &lt;3"))
    path = save(tmp_path, HEAD + GOOD + more + TAIL)
    assert read(path) == [
        Example("Hello", None, (), 6, target="Hallo"),
        Example("bear <3", None, (), 9, target="Bär & Co 🐻"),
    ]
    assert [row.values for row in read_rows(path)][1] == {"de": "Bär & Co 🐻", "fr": "ours", "en": "bear <3"}
    packed = tmp_path / "memory.tmx.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read(packed) == read(path)


@pytest.mark.parametrize("spelling", ["de", "DE", "de-AT", "De_ch", "de-Latn-DE"])
def test_a_language_is_found_in_any_spelling(spelling: str, tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + unit(("en-GB", "colour"), (spelling, "Farbe")) + TAIL)
    assert [(example.text, example.target) for example in read(path)] == [("colour", "Farbe")]


def test_the_nearest_spelling_wins_and_then_the_first(tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + unit(("EN-us", "a"), ("en-GB", "b"), ("EN", "c"), ("den", "x"), ("de", "d")) + TAIL)
    found = {wanted: read(path, wanted)[0].text for wanted in ("en", "EN", "en-gb", "en-US")}
    assert found == {"en": "c", "EN": "c", "en-gb": "b", "en-US": "a"}
    twice = save(tmp_path, HEAD + unit(("en", "first"), ("en", "second"), ("de", "d")) + TAIL)
    assert read(twice)[0].text == "first"
    old = save(tmp_path, HEAD + GOOD.replace("xml:lang", "lang") + TAIL)
    assert read(old)[0].text == "Hello"


def test_markup_of_other_formats_is_no_text(tmp_path: Path) -> None:
    marked = (
        'Press <bpt i="1">&lt;b&gt;</bpt>the <hi>red</hi> key<ept i="1">&lt;/b&gt;</ept><ph>{1}<sub>note</sub></ph>!'
    )
    notes = "<note>a note</note><prop type='x'>y</prop>"
    path = save(tmp_path, HEAD + unit(("en", marked), ("de", "x")).replace("<tu>", f"<tu>{notes}") + TAIL)
    assert read(path)[0].text == "Press the red key!"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_that_are_declared(encoding: str, tmp_path: Path) -> None:
    text = (HEAD + unit(("en", "Bear"), ("de", "Bär")) + TAIL).replace("UTF-8", encoding.removesuffix("-sig"))
    assert read(save(tmp_path, text.encode(encoding)))[0].target == "Bär"


BOMB = '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">'
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "not closed": (HEAD + GOOD, "line 9: the file is not well-formed XML: no element found"),
    "wrong tag": (HEAD + GOOD + "<tu></tuv>\n" + TAIL, "line 9: the file is not well-formed XML: mismatched tag"),
    "cut short": (HEAD + GOOD + "<tu><tuv xml:la", "line 9: the file is not well-formed XML: unclosed token"),
    "something after": (HEAD + TAIL + "<tmx/>", "line 8: the file is not well-formed XML: junk after document"),
    "no XML": ("Hello\n", "line 1: the file is not well-formed XML: syntax error"),
    "other XML": ("<html>\n</html>", "line 1: the file is no TMX: its outermost element is <html>"),
    "bad byte": (
        (HEAD + GOOD + unit(("en", "Bär"))).encode("latin-1"),
        "line 10: the file is not well-formed XML: not well-formed",
    ),
    "control character": (HEAD + unit(("en", "a\0b")), "line 7: the file is not well-formed XML: not well-formed"),
    "half a surrogate": (HEAD + unit(("en", "&#xD800;")), "line 7: .* reference to invalid character number"),
    "bomb": (f"<!DOCTYPE tmx [\n{BOMB}]><tmx>&b;</tmx>", "line 2: the file has an entity 'a' of its own"),
    "outside": (
        '<!DOCTYPE tmx [\n<!ENTITY x SYSTEM "file:///etc/passwd">]><tmx>&x;</tmx>',
        "line 2: the file has an entity 'x' of its own",
    ),
    "parameter": ('<!DOCTYPE tmx [\n<!ENTITY % x SYSTEM "x">%x;]><tmx/>', "line 2: the file has an entity 'x'"),
    "unknown entity": (HEAD + unit(("en", "a&nbsp;b")) + TAIL, "line 7: the file has an entity 'nbsp' of its own"),
    "encoding that is none": ('<?xml version="1.0" encoding="klingon"?><tmx/>', "line 1: the file is .*encoding"),
    "encoding of many bytes": ('<?xml version="1.0" encoding="gb18030"?><tmx/>', "line 1: the file is .*encoding"),
    "a tag without end": (f"<tmx><body x='{'x' * (MAX_LINE_BYTES + 200_000)}'/></tmx>", "holds a tag of more than"),
    "deep": ("<tmx>" + "<x>" * 200_000, "line 1: the file is not well-formed XML: no element found"),
}


@pytest.mark.parametrize("name", list(REFUSED))
@pytest.mark.parametrize("policy", list(OnBadRow))
def test_a_file_that_is_refused(name: str, policy: OnBadRow, tmp_path: Path) -> None:
    content, fault = REFUSED[name]
    with pytest.raises(DataError, match=rf"memory\.tmx, {fault}" if fault.startswith("line") else fault):
        list(read_rows(save(tmp_path, content), bad_rows=BadRows(policy)))


BAD_UNITS = {
    "a language is missing": (unit(("en", "a"), ("dk", "b")), "has no language 'de'; known: dk, en"),
    "nothing in it": ("<tu></tu>\n", "has no language 'en'"),
    "no language said": (unit(("en", "a"), ("", "b")), "has a variant that does not say its language"),
    "empty side": (unit(("en", " "), ("de", "b")), "the text in column 'en' is empty"),
    "too long": (unit(("en", "a" * (MAX_LINE_BYTES + 1)), ("de", "b")), "has more than 8,000,000 characters"),
}


@pytest.mark.parametrize("name", list(BAD_UNITS))
def test_a_unit_that_is_named_or_skipped(name: str, tmp_path: Path) -> None:
    bad, fault = BAD_UNITS[name]
    path = save(tmp_path, HEAD + GOOD + bad + GOOD + TAIL)
    with pytest.raises(DataError, match=rf"line 9: {fault}"):
        read(path)
    columns = Columns(text="en", target="de")
    reader = read_examples(path, columns, label_kind=LabelKind.TEXT, on_bad_row=OnBadRow.SKIP)
    assert [example.target for example in reader] == ["Hallo", "Hallo"]
    assert reader.bad_rows.count == 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + GOOD * 40_000 + TAIL)
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 3_000_000 > 1_000_000 > peak


@given(junk=st.binary(max_size=60), place=st.integers(0, 300))
def test_damage_is_refused_by_name_or_leaves_rows(
    junk: bytes, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = (HEAD + GOOD * 2 + TAIL).encode()
    path = save(tmp_path_factory.getbasetemp(), whole[:place] + junk + whole[place:])
    try:
        rows = list(read_rows(path, bad_rows=BadRows(OnBadRow.SKIP)))
    except DataError as error:
        assert "memory.tmx" in str(error)
    else:
        assert len(rows) <= 4
