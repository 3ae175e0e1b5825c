"""What a text asks of its answer: terms of a glossary, placeholders and markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from heedful.data.documents.inline import has_letters
from heedful.generation import Phrases
from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.glossary import FoundTerm, Glossary, begins_word
from heedful.tasks.text_to_text.markup import TAG, MarkedText, take_out
from heedful.tasks.text_to_text.phrases import phrases_of
from heedful.tasks.text_to_text.placeholders import PLACEHOLDER
from heedful.tasks.text_to_text.shortlist import within, within_or_refused
from heedful.text import Tokenizer


@dataclass(frozen=True)
class Terminology:
    """What is looked for in texts before they are answered."""

    tokenizer: Tokenizer
    """Of the answers."""
    glossary: Glossary = field(default_factory=Glossary)
    keep_markup: bool = True
    """Whether placeholders, addresses and inline tags survive."""
    shortlist: frozenset[int] | None = None
    """The tokens that are written, if not all."""

    def take_out(self, text: str) -> MarkedText:
        """Take tags out of a text, and placeholders that the tokenizer could not write."""
        if not self.keep_markup:
            return MarkedText(text, (), ())
        found = [match.span() for match in PLACEHOLDER.finditer(text)]
        return take_out(text, [span for span in found if not self._is_writable(text[slice(*span)])])

    def has_words(self, text: str) -> bool:
        """Whether a text has anything for a model to read: of tags, placeholders, numbers and signs none is."""
        if not self.keep_markup:
            return bool(text.strip())
        return has_letters(PLACEHOLDER.sub(" ", TAG.sub(" ", text))) or bool(self.glossary.find(text))

    def demands_of(self, text: str) -> Demands:
        """What the answer to a text without markup must hold."""
        kept = [match.span() for match in PLACEHOLDER.finditer(text)] if self.keep_markup else []
        terms = [
            term
            for term in self.glossary.find(text)
            if not any(start < term.end and term.start < end for start, end in kept)
        ]
        return Demands(tuple(text[slice(*span)] for span in kept), tuple(terms), self.tokenizer, self.shortlist)

    def _is_writable(self, placeholder: str) -> bool:
        """Whether the tokenizer can write it as it stands."""
        phrases = within(phrases_of(self.tokenizer, placeholder, anywhere=True), self.shortlist)
        return bool(phrases) and self.tokenizer.decode(phrases[0]).strip() == placeholder


@dataclass(frozen=True)
class Demands:
    """What an answer must hold."""

    placeholders: tuple[str, ...]
    """Those that must stand in it as they stand in the text."""
    terms: tuple[FoundTerm, ...]
    tokenizer: Tokenizer
    shortlist: frozenset[int] | None = None

    @property
    def constraints(self) -> tuple[Phrases, ...]:
        """For :class:`heedful.generation.Request`.

        Raises:
            RequestError: the shortlist lacks a token that a term takes.
        """
        wanted = [(text, phrases_of(self.tokenizer, text, anywhere=True)) for text in self.placeholders]
        wanted += [(found.term.target, phrases_of(self.tokenizer, found.term.target)) for found in self.terms]
        return tuple(within_or_refused(phrases, self.shortlist, text) for text, phrases in wanted)

    def checked(self, answer: TextAnswer) -> TextAnswer:
        """The answer with a warning for each thing that is missing."""
        return replace(answer, warnings=(*answer.warnings, *self._missing(answer.text)))

    def _missing(self, answer: str) -> list[str]:
        """What the answer should hold and does not, for people."""
        lacking = [
            f"the placeholder {text} is missing"
            for text, count in Counter(self.placeholders).items()
            if answer.count(text) < count
        ]
        terms = {found.term.target: found.term.source for found in self.terms}
        needed = Counter(found.term.target for found in self.terms)
        lacking += [
            f"the glossary's {target!r} for {terms[target]!r} is missing"
            for target, count in needed.items()
            if _count(target, answer) < count
        ]
        return lacking


def _count(term: str, answer: str) -> int:
    """How often a word begins with ``term``: an ending may follow, as in a plural."""
    return sum(begins_word(answer, match.start()) for match in re.finditer(re.escape(term), answer))
