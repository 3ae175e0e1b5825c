"""Files of strangers, read without trust: bounded, inside their folder, and what they say they are."""

from __future__ import annotations

from heedful.files.json_files import MAX_DEPTH, parse_json, read_json
from heedful.files.reading import read_bytes, read_text
from heedful.files.references import inside, is_folder

__all__ = [
    "MAX_DEPTH",
    "inside",
    "is_folder",
    "parse_json",
    "read_bytes",
    "read_json",
    "read_text",
]
