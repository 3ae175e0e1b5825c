"""Reading rows: every format and packing, and what goes wrong with files."""

from __future__ import annotations

import gzip
import io
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heedful.data import BadRows, Compression, Format, OnBadRow, Source, read_rows
from heedful.data.files import MAX_LINE_BYTES
from heedful.errors import DataError, JobError

ROWS = [
    {"text": "card swallowed, help", "label": "card"},
    {"text": 'she said "no"', "label": "other"},
    {"text": "两行\n文字\ttab", "label": "中文"},
]
LINE_FORMATS = [Format.CSV, Format.TSV, Format.JSONL]


def delimited(rows: list[dict[str, str]], delimiter: str) -> bytes:
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    quoted = [delimiter.join('"' + field.replace('"', '""') + '"' for field in line) for line in lines]
    return ("\n".join(quoted) + "\n").encode()


def arrow(rows: list[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def tmx(rows: list[dict[str, str]]) -> bytes:
    units = "\n".join(
        "<tu>"
        + "".join(f'<tuv xml:lang="{name}"><seg>{escape(text)}</seg></tuv>' for name, text in row.items())
        + "</tu>"
        for row in rows
    )
    return f'<?xml version="1.0"?>\n<tmx version="1.4"><header/><body>\n{units}\n</body></tmx>\n'.encode()


CONTENT: dict[Format, Callable[[list[dict[str, str]]], bytes]] = {
    Format.CSV: lambda rows: delimited(rows, ","),
    Format.TSV: lambda rows: delimited(rows, "\t"),
    Format.JSONL: lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    Format.PARQUET: parquet,
    Format.ARROW: arrow,
    Format.TEXT: lambda rows: "".join(row["text"].split("\n")[0] + "\n" for row in rows).encode(),
    Format.TMX: tmx,
}


def pack(content: bytes, compression: Compression) -> bytes:
    if compression is Compression.GZIP:
        return gzip.compress(content)
    if compression is Compression.ZSTD:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        return bytes(sink.getvalue())
    return content


def save(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(path: Path | str, **options: Any) -> list[dict[str, Any]]:
    return [row.values for row in read_rows(path, **options)]


def skipping(path: Path, columns: tuple[str, ...] = ()) -> tuple[list[dict[str, Any]], BadRows]:
    bad_rows = BadRows(OnBadRow.SKIP)
    return values(path, columns=columns, bad_rows=bad_rows), bad_rows


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("form", list(Format))
def test_every_format_in_every_packing(form: Format, compression: Compression, tmp_path: Path) -> None:
    name = f"data.{form}" + (f".{compression}" if compression else "")
    path = save(tmp_path, name, pack(CONTENT[form](ROWS), compression))
    expected = ROWS if form is not Format.TEXT else [{"text": row["text"].split("\n")[0]} for row in ROWS]
    assert values(path) == expected


@pytest.mark.parametrize("form", list(Format))
def test_endings_in_capitals_and_a_format_that_is_said(form: Format, tmp_path: Path) -> None:
    content = CONTENT[form](ROWS)
    assert len(values(save(tmp_path, f"DATA.{form.upper()}", content))) == 3
    without_ending = save(tmp_path, "data", content)
    assert len(list(read_rows(Source.parse(without_ending, format=form)))) == 3
    misnamed = save(tmp_path, "data.csv.gz" if form is not Format.CSV else "data.tsv.gz", gzip.compress(content))
    assert len(list(read_rows(Source.parse(misnamed, format=form)))) == 3


@pytest.mark.parametrize("form", [Format.PARQUET, Format.ARROW])
def test_rows_of_tables_are_counted(form: Format, tmp_path: Path) -> None:
    rows = [{"text": str(number), "label": "x"} for number in range(3000)]
    path = save(tmp_path, f"data.{form}", CONTENT[form](rows))
    read = list(read_rows(path, columns=["text"]))
    assert [row.number for row in read] == list(range(1, 3001))
    assert [row.values for row in read] == [{"text": row["text"]} for row in rows]
    assert read[0].place == f"{path}, row 1"


def test_rows_of_lines_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    csv = save(tmp_path, "data.csv", 'text,label\n"one\ntwo",a\n\nthree,b\n')
    assert [row.number for row in read_rows(csv)] == [2, 5]
    jsonl = save(tmp_path, "data.jsonl", '{"text": "one"}\n\n{"text": "two"}\n')
    rows = list(read_rows(jsonl))
    assert [row.number for row in rows] == [1, 3]
    assert rows[1].place == f"{jsonl}, line 3"


@pytest.mark.parametrize("form", [*LINE_FORMATS, Format.TEXT])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_windows_line_ends(form: Format, mark: bytes, tmp_path: Path) -> None:
    rows = ROWS[:2]
    content = mark + CONTENT[form](rows).replace(b"\n", b"\r\n")
    read = values(save(tmp_path, f"data.{form}", content))
    assert [row["text"] for row in read] == [row["text"] for row in rows]


def test_windows_line_ends_inside_quotation_marks_are_kept(tmp_path: Path) -> None:
    path = save(tmp_path, "data.csv", b'text,label\r\n"a\r\nb",c\r\n')
    assert values(path) == [{"text": "a\r\nb", "label": "c"}]


def test_several_files_follow_each_other(tmp_path: Path) -> None:
    first = save(tmp_path, "a.jsonl", '{"text": "one"}\n')
    second = save(tmp_path, "b.csv", "text\ntwo\n")
    source = Source.parse([first, second])
    assert [row.values["text"] for row in read_rows(source)] == ["one", "two"]
    assert [row.file for row in read_rows(source)] == [str(first), str(second)]


def test_lines_of_text_are_the_column_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path, "data.txt", "one\n\n two \n")
    assert values(path, columns=["sentence"]) == [{"sentence": "one"}, {"sentence": ""}, {"sentence": " two "}]
    assert [row.blank for row in read_rows(path)] == [False, True, False]
    with pytest.raises(DataError, match="has no column 'label'"):
        values(path, columns=["text", "label"])


class StandardInput(io.TextIOWrapper):
    def __init__(self, content: bytes) -> None:
        super().__init__(io.BufferedReader(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "form", "expected"),
    [
        (b'{"text": "one"}\n{"text": "two"}\n', None, ["one", "two"]),
        (b"one\ntwo\n", None, ["one", "two"]),
        (b"text,label\none,a\ntwo,b\n", "csv", ["one", "two"]),
        (parquet([{"text": "one"}, {"text": "two"}]), "parquet", ["one", "two"]),
    ],
)
def test_standard_input(content: bytes, form: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StandardInput(content))
    rows = list(read_rows(Source.parse("-", format=form)))
    assert [row.values["text"] for row in rows] == expected
    assert rows[0].file == "standard input"


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StandardInput(b""))
    with pytest.raises(DataError, match="standard input holds no rows"):
        list(read_rows("-"))


# Files that cannot be read


@pytest.mark.parametrize("form", list(Format))
def test_an_empty_file(form: Format, tmp_path: Path) -> None:
    blank_lines_are_rows = form in (Format.PARQUET, Format.ARROW, Format.TEXT)
    for content in (b"",) if blank_lines_are_rows else (b"", b"\n\n"):
        path = save(tmp_path, f"data.{form}", content)
        with pytest.raises(DataError, match=r"holds no rows|is damaged|no element found"):
            values(path)


@pytest.mark.parametrize("form", [Format.CSV, Format.TSV, Format.PARQUET, Format.ARROW])
def test_a_header_and_nothing_else(form: Format, tmp_path: Path) -> None:
    table = pa.table({"text": pa.array([], pa.string())})
    sink = io.BytesIO()
    if form is Format.PARQUET:
        pq.write_table(table, sink)
    elif form is Format.ARROW:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        sink.write(b"text\n")
    path = save(tmp_path, f"data.{form}", sink.getvalue())
    with pytest.raises(DataError, match="holds no rows"):
        values(path, columns=["text"])


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_packed_file_cut_short(form: Format, compression: Compression, tmp_path: Path) -> None:
    many = [{"text": f"text {number * 7919 % 10007}", "label": "x"} for number in range(20_000)]
    packed = pack(CONTENT[form](many), compression)
    path = save(tmp_path, f"data.{form}.{compression}", packed[: len(packed) * 2 // 3])
    bad_rows = BadRows(OnBadRow.SKIP)
    with pytest.raises(DataError, match=r"data\.\w+\.\w+ is damaged, or was not copied to its end"):
        values(path, bad_rows=bad_rows)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_file_that_is_not_packed_as_it_says(compression: Compression, tmp_path: Path) -> None:
    path = save(tmp_path, f"data.jsonl.{compression}", '{"text": "plain"}\n')
    with pytest.raises(DataError, match="is damaged"):
        values(path)


@pytest.mark.parametrize("form", [Format.PARQUET, Format.ARROW])
def test_a_table_that_is_none(form: Format, tmp_path: Path) -> None:
    path = save(tmp_path, f"data.{form}", b"text,label\none,a\n" * 40)
    with pytest.raises(DataError, match="is damaged"):
        values(path)


@pytest.mark.parametrize("form", list(CONTENT))
def test_a_column_that_is_not_there(form: Format, tmp_path: Path) -> None:
    if form is Format.TEXT:
        return  # has no columns, see test_lines_of_text_are_the_column_asked_for
    path = save(tmp_path, f"data.{form}", CONTENT[form](ROWS))
    with pytest.raises(DataError, match=r"has no (column|language) 'labels'; did you mean label\?"):
        values(path, columns=["text", "labels"])
    with pytest.raises(DataError, match=r"has no (column|language) 'quux'; known: label, text"):
        values(path, columns=["quux"])


@pytest.mark.parametrize("form", [Format.CSV, Format.TSV, Format.JSONL, Format.PARQUET, Format.ARROW])
def test_a_column_that_is_there_twice(form: Format, tmp_path: Path) -> None:
    table = pa.table([pa.array(["one"]), pa.array(["two"])], names=["text", "text"])
    sink = io.BytesIO()
    if form is Format.PARQUET:
        pq.write_table(table, sink)
    elif form is Format.ARROW:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    elif form is Format.JSONL:
        sink.write(b'{"text": "one", "text": "two"}\n')
    else:
        sink.write(b"text,text\none,two\n".replace(b",", b"\t" if form is Format.TSV else b","))
    path = save(tmp_path, f"data.{form}", sink.getvalue())
    with pytest.raises(DataError, match="has the column 'text' twice"):
        values(path, columns=["text"])


def test_a_header_that_is_no_text(tmp_path: Path) -> None:
    path = save(tmp_path, "data.csv", "text,label\none,a\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"the header of .* is not valid UTF-8: byte 0xff, byte 1 of line 1"):
        values(path, columns=["text"])


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "data.csv", "text\none\n")

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"data\.csv cannot be read: Permission denied"):
        values(path)


def test_no_room_to_unpack_a_table(tmp_path: Path) -> None:
    rows = [{"text": f"{number * 7919 % 10007}"} for number in range(5000)]
    path = save(tmp_path, "data.parquet.gz", gzip.compress(parquet(rows)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(JobError, match=r"cannot be kept in .*: File too large"):
            values(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Rows that cannot be read

BAD_LINES: dict[str, tuple[Format, bytes, str]] = {
    "invalid UTF-8 in jsonl": (
        Format.JSONL,
        b'{"text": "caf\xe9"}',
        r"is not valid UTF-8: byte 0xe9, byte 14 of line 2",
    ),
    "invalid UTF-8 in csv": (Format.CSV, b"caf\xe9,x", r"is not valid UTF-8: byte 0xe9, byte 4 of line 3"),
    "invalid UTF-8 in tsv": (Format.TSV, b"caf\xe9\tx", r"is not valid UTF-8: byte 0xe9, byte 4 of line 3"),
    "invalid UTF-8 in text": (Format.TEXT, b"caf\xe9", r"is not valid UTF-8: byte 0xe9, byte 4 of line 2"),
    "NUL in jsonl": (Format.JSONL, b'{"text": "a\0b"}', "holds a NUL byte"),
    "NUL in csv": (Format.CSV, b"a\0b,x", "holds a NUL byte"),
    "NUL in text": (Format.TEXT, b"a\0b", "holds a NUL byte"),
    "no JSON": (Format.JSONL, b"text", "is not valid JSON: Expecting value"),
    "half a JSON": (Format.JSONL, b'{"text": "a"', "is not valid JSON: Expecting ',' delimiter"),
    "no object": (Format.JSONL, b'["text"]', "is no JSON object"),
    "deep JSON": (Format.JSONL, b'{"text": ' + b"[" * 100_000, "is not valid JSON: maximum recursion depth"),
    "huge number": (Format.JSONL, b'{"text": ' + b"9" * 5000 + b"}", "is not valid JSON: Exceeds the limit"),
    "too many fields": (Format.CSV, b"a,b,c", "has 3 fields, but the header has 2"),
    "too few fields": (Format.TSV, b"a", "has 1 fields, but the header has 2"),
    "stray quotation mark": (Format.CSV, b'"a"b,x', "is not written properly: ',' expected after '\"'"),
}


@pytest.mark.parametrize("name", list(BAD_LINES))
def test_a_bad_row_is_named_or_skipped(name: str, tmp_path: Path) -> None:
    form, line, fault = BAD_LINES[name]
    good, bad = CONTENT[form](ROWS[:1]).splitlines(keepends=True), line + b"\n"
    path = save(tmp_path, f"data.{form}", b"".join([*good, bad, good[-1]]))
    with pytest.raises(DataError, match=rf"data\.{form}, line {len(good) + 1}: {fault}") as caught:
        values(path)
    assert "on_bad_row" in str(caught.value.remedy)
    rows, bad_rows = skipping(path)
    assert [row["text"] for row in rows] == [ROWS[0]["text"]] * 2
    assert bad_rows.count == 1
    assert bad_rows.notes[0] == "1 bad row skipped"


@pytest.mark.parametrize("form", [*LINE_FORMATS, Format.TEXT])
def test_a_line_of_ten_million_characters(form: Format, tmp_path: Path) -> None:
    good = CONTENT[form](ROWS[:1]).splitlines(keepends=True)
    long = {Format.JSONL: b'{"text": "%s", "label": "x"}', Format.CSV: b"%s,x", Format.TSV: b"%s\tx"}.get(form, b"%s")
    path = save(tmp_path, f"data.{form}", b"".join([*good, long % (b"x" * 10_000_000) + b"\n", good[-1]]))
    with pytest.raises(DataError, match=rf"line {len(good) + 1}: is longer than {MAX_LINE_BYTES:,} bytes"):
        values(path)
    rows, bad_rows = skipping(path)
    assert (len(rows), bad_rows.count) == (2, 1)


def test_a_quotation_mark_that_is_never_closed(tmp_path: Path) -> None:
    path = save(tmp_path, "data.csv", 'text,label\n"one,a\ntwo,b\n')
    with pytest.raises(DataError, match=r"line 2: is not written properly: unexpected end of data"):
        values(path)


def test_a_field_over_many_lines_is_bounded_too(tmp_path: Path) -> None:
    path = save(tmp_path, "data.csv", 'text,label\n"' + ("x" * 99 + "\n") * 100_000)
    with pytest.raises(DataError, match=r"line 2: is not written properly: field larger than field limit"):
        values(path)


def test_a_bad_line_spoils_the_whole_row_that_spans_it(tmp_path: Path) -> None:
    path = save(tmp_path, "data.csv", b'text,label\n"one\ncaf\xe9\nthree",a\nfour,b\n')
    rows, bad_rows = skipping(path)
    assert rows == [{"text": "four", "label": "b"}]
    assert bad_rows.reasons == [f"{path}, line 2: is not valid UTF-8: byte 0xe9, byte 4 of line 3"]


def test_a_missing_key_in_one_row(tmp_path: Path) -> None:
    path = save(tmp_path, "data.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "lable": "y"}\n')
    with pytest.raises(DataError, match=r"line 2: has no column 'label'; did you mean lable\?"):
        values(path, columns=["text", "label"])
    rows, bad_rows = skipping(path, ("text", "label"))
    assert (len(rows), bad_rows.count) == (1, 1)


def test_only_the_first_reasons_are_kept(tmp_path: Path) -> None:
    path = save(tmp_path, "data.jsonl", '{"text": "good"}\n' + "bad\n" * 20)
    _, bad_rows = skipping(path)
    assert bad_rows.count == 20
    assert [reason.split(":")[0] for reason in bad_rows.reasons] == [f"{path}, line {number}" for number in range(2, 7)]
    assert bad_rows.notes[0] == "20 bad rows skipped"
    assert bad_rows.notes[-1] == "and 15 more"
    assert BadRows().notes == ()
