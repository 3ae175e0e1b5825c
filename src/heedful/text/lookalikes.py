"""Special tokens that a text only looks like.

The ``tokenizers`` library can be told to leave special tokens in a text alone, but a Unigram model holds ``<s>``
among its pieces and would find it there all the same. Cutting each look-alike after its first character, before
the model sees it, is enough: no piece reaches over the cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import groupby
from typing import Any

import tokenizers as hf
from tokenizers import pre_tokenizers


def keep_unreachable(backend: hf.Tokenizer, reserved: Collection[str]) -> None:
    """See to it that no text becomes one of the tokens ``reserved``, in place.

    Tokens of one character cannot be cut; they stay as they are.
    """
    reachable = sorted({token for token in reserved if len(token) > 1 and _is_reachable(backend, token)})
    if not reachable:
        return
    rules = []
    for first, tokens in groupby(reachable, key=lambda token: token[0]):
        rest = "|".join(re.escape(token[1:]) for token in tokens)
        rules.append(f"{re.escape(first)}(?={rest})")
    cut: Any = pre_tokenizers.Split(hf.Regex("|".join(rules)), "merged_with_previous")
    before = backend.pre_tokenizer
    backend.pre_tokenizer = cut if before is None else pre_tokenizers.Sequence([before, cut])


def _is_reachable(backend: hf.Tokenizer, token: str) -> bool:
    """Whether the token's own text, alone or inside a word, becomes the token."""
    texts = (token, f"a{token}a")
    return any(token in backend.encode(text, add_special_tokens=False).tokens for text in texts)
