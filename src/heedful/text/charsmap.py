"""Normalization rules of SentencePiece, precompiled: a double-array trie and the replacements it points to.

The format (Kudo and Richardson 2018, section 3.3; Darts-clone): the size of the trie in bytes, its units of 32
bits, then the replacements, each ended by NUL.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_REPLACEMENT = 1024
"""Bytes that one character may become; the longest of Unicode's compatible decompositions takes 33."""


def check_charsmap(charsmap: bytes) -> None:
    """Prove that no walk through the trie leaves it, and that every leaf points to the start of a replacement.

    Raises:
        ValueError: what is wrong. The library that walks the trie checks nothing.
    """
    if not charsmap:
        return
    units, replacements = _split(charsmap)
    positions = np.arange(len(units), dtype=np.int64)
    # A child has the position of its parent, changed by the parent's offset and by one byte.
    children = positions ^ _offsets(units)
    is_leaf = units >> 31 == 1
    if (children[~is_leaf] | 0xFF).max(initial=0) >= len(units):
        raise ValueError("the trie of its normalization rules leads out of itself")
    values = (units[children[~is_leaf & (units >> 8 & 1 == 1)]] & 0x7FFFFFFF).astype(np.int64)
    if values.max(initial=0) >= len(replacements):
        raise ValueError("a normalization rule points past the replacements")
    text = np.frombuffer(replacements, dtype=np.uint8)
    if (text[values] & 0xC0 == 0x80).any():
        raise ValueError("a normalization rule points into the middle of a character")
    if np.diff(np.flatnonzero(text == 0), prepend=-1).max() > MAX_REPLACEMENT:
        raise ValueError(f"a normalization rule makes more than {MAX_REPLACEMENT:,} bytes of a character")


def _split(charsmap: bytes) -> tuple[NDArray[np.uint32], bytes]:
    size = int.from_bytes(charsmap[:4], "little")
    if len(charsmap) < 4 + size or size % 4 or size < 1024:
        raise ValueError(f"its normalization rules of {len(charsmap):,} bytes cannot hold a trie of {size:,}")
    replacements = charsmap[4 + size :]
    replacements.decode("utf-8")
    if not replacements.endswith(b"\0"):
        raise ValueError("its normalization rules have no end")
    return np.frombuffer(charsmap, dtype="<u4", count=size // 4, offset=4), replacements


def _offsets(units: NDArray[np.uint32]) -> NDArray[np.int64]:
    return (units >> 10 << ((units & (1 << 9)) >> 6)).astype(np.int64)
