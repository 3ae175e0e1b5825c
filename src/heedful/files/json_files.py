"""JSON from strangers: bounded in size and depth, every key once."""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path
from typing import Any

from heedful.errors import CheckpointError
from heedful.files.reading import read_bytes

MAX_JSON_BYTES = 10_000_000
MAX_DEPTH = 64
"""Of nested objects and lists; configurations and tokenizers need about ten."""

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(_STEPS)))


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: the file is missing, a link out of its folder, too large, too deep, holds a key twice, or
            is no JSON object.
    """
    return parse_json(read_bytes(path, max_bytes=max_bytes), name=str(path))


def parse_json(content: bytes, *, name: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        name: what the object is called in messages, such as the path of its file.

    Raises:
        CheckpointError: it is too deep, holds a key twice or what is no Unicode, or is no JSON object.
    """
    try:
        _check_depth(content)
        data = json.loads(content.decode("utf-8"), object_pairs_hook=_every_key_once)
        if rb"\ud" in content.lower():
            json.dumps(data, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is no text
    except ValueError as error:
        raise CheckpointError(
            f"{name} is not valid JSON: {error}", remedy="Take an intact copy of the file, or save the model again."
        ) from error
    if not isinstance(data, dict):
        raise CheckpointError(
            f"{name} holds a JSON {type(data).__name__}, not an object", remedy="Take an intact copy of the file."
        )
    return data


def _check_depth(content: bytes) -> None:
    """Count without recursion: a parser's own stack must not be what finds out."""
    without_escapes = content.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = b"".join(without_escapes.split(b'"')[::2])
    brackets = outside_strings.translate(None, delete=_NO_BRACKETS)
    depth = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    if depth > MAX_DEPTH:
        raise ValueError(f"{depth:,} levels of nesting, and {MAX_DEPTH} are the limit")


def _every_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in data if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r:.100} occurs twice")
    return data
