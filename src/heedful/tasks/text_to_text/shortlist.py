"""Writing with a part of a large vocabulary: the tokens of texts like those that are to be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from heedful.data import read_rows
from heedful.errors import DataError, RequestError
from heedful.generation import GenerationSettings, Phrases
from heedful.generation.constraints import TEXT_START
from heedful.settings import nearest
from heedful.text import Tokenizer

TEXTS_AT_ONCE = 1024


def shortlist_of(tokenizer: Tokenizer, texts: Iterable[str], settings: GenerationSettings) -> frozenset[int]:
    """The tokens of ``texts``, those of one character, and those that are special or that the settings name.

    Raises:
        RequestError: there is no text.
    """
    tokens, waiting = set[int](), iter(texts)
    while chunk := list(islice(waiting, TEXTS_AT_ONCE)):
        # A text may have other tokens behind a blank, as a term of a glossary would stand.
        for encoding in tokenizer.encode_batch([*chunk, *(f"a {text}" for text in chunk)]):
            tokens.update(encoding.ids)
    if not tokens:
        raise RequestError("a shortlist of no texts has no tokens", remedy="Give texts like those to be written.")
    return frozenset(tokens) | tokenizer.smallest | settings.ruled_tokens | {*settings.eos_token_id}


def within(phrases: Phrases, shortlist: frozenset[int] | None) -> Phrases:
    """The phrases that can be written with a shortlist, if there is one."""
    if shortlist is None:
        return phrases
    return tuple(phrase for phrase in phrases if shortlist.issuperset(set(phrase) - {TEXT_START}))


def within_or_refused(phrases: Phrases, shortlist: frozenset[int] | None, text: str) -> Phrases:
    """As :func:`within`, of the ways to write a text.

    Raises:
        RequestError: there is none, and without the shortlist there would be.
    """
    found = within(phrases, shortlist)
    if phrases and not found:
        raise RequestError(
            f"the shortlist has not all tokens that {text!r:.80} is written with",
            remedy="Add it to the texts that the shortlist is made of.",
        )
    return found


def read_texts(source: str, columns: tuple[str, ...]) -> Iterator[str]:
    """The texts of a source, of the first of ``columns`` that it has.

    Raises:
        DataError: it cannot be read, or has none of them.
    """
    for row in read_rows(source):
        name = next((name for name in columns if name in row.values), None)
        if name is None:
            raise DataError(
                f"{row.place} has no column {' or '.join(map(repr, columns))}; {nearest(columns[0], list(row.values))}",
                remedy="Give plain text, one a line, or a table with such a column.",
            )
        if isinstance(text := row.values[name], str):
            yield text
