"""Scripts that are written without blanks between words, as the ranges of their characters."""

from __future__ import annotations

import re

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
SOUTHEAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai and Lao, Burmese, Khmer."""
_EAST_ASIAN_SIGNS = (
    "\u2e80-\u3004\u3008-\u303f\u3100-\u312f\u31a0-\u31ef\u3200-\u33ff\u4dc0-\u4dff\ufe30-\ufe4f\uff01-\uff65"
)
"""Punctuation of Chinese and Japanese, radicals, Bopomofo, and signs and letters of full width."""

LETTERS = HAN + KANA + SOUTHEAST_ASIAN
UNSPACED = re.compile(f"[{LETTERS}]")
"""A letter of a script that puts no blanks between words."""
CJK = re.compile(f"[{HAN}{KANA}{_EAST_ASIAN_SIGNS}]")
"""A character of Chinese or Japanese, its punctuation too. Korean has blanks between words."""
