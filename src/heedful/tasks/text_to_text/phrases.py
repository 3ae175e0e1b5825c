"""A text as the tokens by which it can stand in an answer."""

from __future__ import annotations

from collections.abc import Iterator

from heedful.generation import Phrases
from heedful.generation.constraints import TEXT_START
from heedful.generation.settings import TokenIds
from heedful.scripts import UNSPACED
from heedful.text import Tokenizer

_AFTER_A_WORD = "a "
_AFTER_A_BRACKET = "("
_AFTER_A_CHARACTER = "的"


def phrases_of(tokenizer: Tokenizer, text: str, *, anywhere: bool = False) -> Phrases:
    """The tokens that ``text`` has at the beginning of an answer, after a blank and, if it may, without one.

    Args:
        anywhere: it may follow a bracket, a stop or a letter without a blank, as placeholders do and words do not.
            What begins with a character of a script without blanks may in any case.

    Returns:
        Alternatives, of which each is read as ``text``; none where the tokenizer has no tokens for it.
    """
    contexts = [_AFTER_A_WORD]
    if anywhere or UNSPACED.match(text):
        contexts += ["", _AFTER_A_BRACKET, _AFTER_A_CHARACTER]
    found = dict.fromkeys(tokens for context in contexts for tokens in _tokens_after(tokenizer, context, text))
    usual = _read(tokenizer, next(iter(found), ()))
    phrases = tuple(tokens for tokens in found if _read(tokenizer, tokens) == usual)
    return phrases + tuple((TEXT_START, *tokens) for tokens in beginning_of(tokenizer, text) if tokens not in phrases)


def beginning_of(tokenizer: Tokenizer, text: str) -> Phrases:
    """The tokens of an answer that begins with ``text``, whole words; none where the tokenizer has no tokens for it."""
    return tuple(_tokens_after(tokenizer, "", text.strip()))


def _tokens_after(tokenizer: Tokenizer, context: str, text: str) -> Iterator[TokenIds]:
    """The tokens of ``text`` behind ``context``, if they are its alone and none is unknown."""
    (encoding,) = tokenizer.encode_batch([context + text])
    tokens = []
    for token, (start, end), special in zip(encoding.ids, encoding.offsets, encoding.special, strict=True):
        if special or end <= len(context.rstrip()):  # a blank that is a token of its own belongs to what follows it
            continue
        if start < len(context.rstrip()) or token == tokenizer.special.unk:
            return
        tokens.append(token)
    if tokens:
        yield tuple(tokens)


def _read(tokenizer: Tokenizer, tokens: TokenIds) -> str:
    return tokenizer.decode(tokens).strip()
