"""Tokens into the words of the text they come from."""

from __future__ import annotations

import re

from heedful.text import Encoding

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:['’][^\W{_CJK}]+)*|[^\w\s]")
"""A Chinese or Japanese character; a run of other letters and digits; a character of any other kind, but no space."""


def words_of(text: str, encoding: Encoding) -> list[tuple[tuple[int, int], list[int]]]:
    """The words of a text with the tokens that make them up.

    Returns:
        For each word that has tokens, its [start, end) in the text and the places of its tokens in the encoding. A
        token that spans several words belongs to the first of them.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    tokens: dict[tuple[int, int], list[int]] = {span: [] for span in spans}
    for place, ((start, end), special) in enumerate(zip(encoding.offsets, encoding.special, strict=True)):
        if special:
            continue
        span = next((span for span in spans if start < span[1] and span[0] < end), None)
        if span is not None:
            tokens[span].append(place)
    return [(span, places) for span, places in tokens.items() if places]
