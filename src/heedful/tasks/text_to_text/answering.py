"""From what a user wants to what the network writes, and back: each step wraps the one that follows it.

A text is looked up in the memory; its markup is taken out; it is taken apart into passages, which are looked up too;
terms and placeholders are looked for in those; the network writes. Each step puts its part of the answer together
again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from heedful.data import Example
from heedful.errors import RequestError
from heedful.generation import Phrases
from heedful.tasks.base import Tally
from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.author import Author
from heedful.tasks.text_to_text.documents import Writer
from heedful.tasks.text_to_text.long_documents import LongDocument, answer_documents, way_of
from heedful.tasks.text_to_text.options import AnswerOptions
from heedful.tasks.text_to_text.phrases import beginning_of, phrases_of
from heedful.tasks.text_to_text.search import search_settings
from heedful.tasks.text_to_text.shortlist import within_or_refused
from heedful.tasks.text_to_text.terminology import Terminology
from heedful.tasks.text_to_text.writing import Passage, write_passages
from heedful.text import Tokenizer

Answers = Callable[[Sequence[Example]], list[TextAnswer]]


class Answering:
    """Answers texts as its options say."""

    def __init__(self, author: Author, options: AnswerOptions) -> None:
        """
        Raises:
            RequestError: something is asked for that the model cannot do.
        """
        self._author = author
        self._options = options
        self._settings = search_settings(author, **options.generation)
        keep = author.keeps_markup if options.keep_markup is None else options.keep_markup
        self._terminology = Terminology(
            author.target_tokenizer, options.glossary, keep_markup=keep, shortlist=author.shortlist
        )
        self._wanted = tuple(self._writable(phrase, phrases_of) for phrase in options.phrases)
        self._beginnings = self._writable(options.beginning, beginning_of) if options.beginning else ()
        self._way = way_of(author.job, options.long_input)
        self._check_demands()
        if options.phrases or options.beginning:
            # What a text as a whole must hold cannot be told of its parts.
            self._way = LongDocument.TRUNCATE

    def _check_demands(self) -> None:
        """Refuse what stands against phrases, terms or a beginning."""
        options = self._options
        if self._settings.do_sample and (options.phrases or options.glossary.terms):
            raise RequestError(
                "phrases and terms are searched for, and do_sample draws instead",
                remedy="Leave out do_sample, or the phrases and the glossary.",
            )
        in_parts = options.long_input is not None and self._way is not LongDocument.TRUNCATE
        if in_parts and (options.phrases or options.beginning):
            raise RequestError(
                f"phrases and a beginning are of a text as a whole, and {options.long_input!r} reads it in parts",
                remedy=f"Leave out long_input, or set it to {LongDocument.TRUNCATE}.",
            )

    def answer(self, examples: Sequence[Example], tally: Tally | None = None) -> list[TextAnswer]:
        """Answer examples, a blank line by an empty text."""
        author = self._author
        write = self._unless_known(lambda pieces: self._write(pieces, None if tally is None else _Passages(tally)))
        # Of several languages any will do to count by: a token says which it is.
        language = next((each.target_language for each in examples if each.target_language), None)
        writer = Writer(
            write=write,
            count_tokens=lambda text: len(author.architecture.encode([text], languages=[language])[0].ids),
            max_length=author.card.max_length,
            language=author.card.source_language,
        )
        answers = self._unless_known(
            lambda unknown: self._without_markup(unknown, lambda plain: answer_documents(plain, writer, self._way))
        )(examples)
        if tally is not None:
            tally.add(texts=len(examples))
        return answers

    def _unless_known(self, answer: Answers) -> Answers:
        """Answers that take no model, and to all other texts those of the next step."""

        def look_up(examples: Sequence[Example]) -> list[TextAnswer]:
            found = [self._known(example.text) for example in examples]
            others = iter(answer([each for each, known in zip(examples, found, strict=True) if known is None]))
            return [next(others) if known is None else known for known in found]

        return look_up

    def _known(self, text: str) -> TextAnswer | None:
        """What the memory says; of a text without words, the text itself."""
        known = self._options.memory.find(text)
        return known if known or self._terminology.has_words(text) else TextAnswer(text, 0.0)

    def _without_markup(self, examples: Sequence[Example], answer: Answers) -> list[TextAnswer]:
        """Answers to texts without their markup, with the markup where the alignment says."""
        marked = [self._terminology.take_out(example.text) for example in examples]
        answers = answer([example._replace(text=each.text) for example, each in zip(examples, marked, strict=True)])
        return [each.put_back_into(answer) for each, answer in zip(marked, answers, strict=True)]

    def _write(self, examples: Sequence[Example], tally: Tally | None) -> list[TextAnswer]:
        """Answers of the network, with what must be in them."""
        demands = [self._terminology.demands_of(example.text) for example in examples]
        passages = [
            # What is drawn cannot be searched for: a placeholder then stands in the answer by luck, or is missed.
            Passage(example, () if self._settings.do_sample else (*self._wanted, *each.constraints), self._beginnings)
            for example, each in zip(examples, demands, strict=True)
        ]
        answers = write_passages(self._author, passages, self._settings, examined=self._options.examined, tally=tally)
        return [self._told(each.checked(answer)) for each, answer in zip(demands, answers, strict=True)]

    def _told(self, answer: TextAnswer) -> TextAnswer:
        """The answer with a warning for each phrase that is not in it."""
        missing = [f"{phrase!r} is missing" for phrase in self._options.phrases if phrase not in answer.text]
        return replace(answer, warnings=(*answer.warnings, *missing)) if missing else answer

    def _writable(self, text: str, tokens_of: Callable[[Tokenizer, str], Phrases]) -> Phrases:
        """The tokens that a text can be written with."""
        tokens = tokens_of(self._author.target_tokenizer, text)
        if not tokens:
            raise RequestError(f"the model has no tokens to write {text!r:.80} with")
        return within_or_refused(tokens, self._author.shortlist, text)


class _Passages(Tally):
    """Counts passages for a tally of texts: their tokens only."""

    def __init__(self, texts: Tally) -> None:
        super().__init__()
        self._texts = texts

    def add(self, *, texts: int = 0, **tokens: int) -> None:  # noqa: ARG002 - parts of texts are no texts
        """Count tokens."""
        self._texts.add(**tokens)
