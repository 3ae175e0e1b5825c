"""Which characters are of scripts without blanks between words, by what Unicode calls them."""

from __future__ import annotations

import unicodedata
from functools import cache

import pytest

from heedful.scripts import CJK, UNSPACED

HAN = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")
KANA = ("HIRAGANA LETTER", "KATAKANA LETTER", "HALFWIDTH KATAKANA LETTER")
SOUTHEAST_ASIAN = ("THAI", "LAO", "MYANMAR LETTER", "KHMER LETTER")
SPACED = ("LATIN", "GREEK", "CYRILLIC", "HANGUL SYLLABLE", "HANGUL LETTER", "ARABIC", "HEBREW", "DEVANAGARI", "DIGIT")


@cache
def characters(*names: str) -> str:
    """Those of the first plane, and some of the second ideographic one, whose names begin in one of these ways."""
    codes = (*range(0x10000), *range(0x20000, 0x20100))
    return "".join(chr(code) for code in codes if unicodedata.name(chr(code), "").startswith(names))


@pytest.mark.parametrize("names", [HAN, KANA, SOUTHEAST_ASIAN])
def test_letters_without_blanks_between_words_are_found(names: tuple[str, ...]) -> None:
    # Letters that Unicode added for the languages of minorities are in blocks of their own.
    missed = [each for each in UNSPACED.sub("", characters(*names)) if not "\ua9e0" <= each <= "\uaa7f"]
    assert not missed
    assert CJK.sub("", characters(*names)) == ("" if names is not SOUTHEAST_ASIAN else characters(*names))


def test_letters_with_blanks_between_words_are_not_found() -> None:
    others = characters(*SPACED)
    assert len(others) > 10_000
    assert not UNSPACED.search(others)
    assert not CJK.search(others)


@pytest.mark.parametrize("sign", "、。「」！？（），：；㈱㍿〒")
def test_signs_are_chinese_or_japanese_and_no_letters(sign: str) -> None:
    assert CJK.match(sign)
    assert not UNSPACED.match(sign)
