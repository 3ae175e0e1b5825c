"""JSON from strangers: what is not a plain object of bounded size is refused with the file's name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.checkpoint import parse_json, read_json
from heedful.errors import CheckpointError
from heedful.files import MAX_DEPTH


@pytest.fixture
def high_recursion_limit() -> Iterator[None]:
    """What a program around us may have set: then Python's own guard of the stack does not help."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**9)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not valid JSON"),
        (b'{"a": ', "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "is not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "is not valid JSON"),
        (b'{"a": 1} {"a": 2}', "is not valid JSON: Extra data"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "is not valid JSON"),
        (rb'{"a": "\ud800"}', "is not valid JSON: .*surrogates"),
        (rb'{"a": {"\uDC00b": 1}}', "is not valid JSON: .*surrogates"),
        (b"[" * 200_000, "200,000 levels of nesting, and 64 are the limit"),
        (b'{"a":' * 200_000, "200,000 levels of nesting"),
        (b'{"a":"' + rb"\"" * 5 + b'",' + b'"b":' + b"[" * 200_000, "200,001 levels of nesting"),
        (b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "65 levels of nesting"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' occurs twice"),
        (rb'{"x": [{"a": 1, "\u0061": 3}]}', "the key 'a' occurs twice"),
        (b"[1]", "holds a JSON list"),
        (b"null", "holds a JSON NoneType"),
        (b'{"a": "' + b"x" * 10_000_000 + b'"}', "is larger than 10,000,000 bytes"),
    ],
)
def test_what_is_no_plain_object_is_refused(
    tmp_path: Path, high_recursion_limit: None, content: bytes, reason: str
) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=reason) as caught:
        read_json(file)
    assert str(file) in caught.value.message
    assert caught.value.remedy


def test_a_missing_file_and_a_folder_in_its_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    for name in ("missing.json", "folder.json"):
        with pytest.raises(CheckpointError, match=rf"{name} does not exist"):
            read_json(tmp_path / name)


def test_a_limit_can_be_another(tmp_path: Path) -> None:
    file = tmp_path / "index.json"
    file.write_text('{"a": 1}')
    assert read_json(file, max_bytes=8) == {"a": 1}
    with pytest.raises(CheckpointError, match="larger than 7 bytes"):
        read_json(file, max_bytes=7)


def test_brackets_and_quotes_inside_texts_do_not_count() -> None:
    texts = {"[" * 100: '"' + "{" * 100, "\\": "]}\\\\", '\\"[': '\\"[' * 100, "pair": "😀"}
    assert parse_json(json.dumps(texts).encode(), name="it") == texts
    deep = b'{"a": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert set(parse_json(deep, name="it")) == {"a"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=3)


@settings(deadline=None)
@given(OBJECTS)
def test_every_object_comes_back(data: dict[str, object]) -> None:
    for ascii_only in (True, False):
        assert parse_json(json.dumps(data, ensure_ascii=ascii_only).encode(), name="it") == data


@settings(max_examples=200, deadline=None)
@given(OBJECTS, st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=3)), max_size=3))
def test_only_our_errors_come_out(data: dict[str, object], edits: list[tuple[int, bytes]]) -> None:
    content = bytearray(json.dumps(data).encode())
    for place, new in edits:
        content[place % len(content) : place % len(content) + 2] = new
        content = content or bytearray(b"{")
    try:
        read = parse_json(bytes(content), name="it")
    except CheckpointError as error:
        assert error.message.startswith("it ")
    else:
        assert read == json.loads(content)
