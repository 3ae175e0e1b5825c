"""What happens to texts of any length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from heedful.data import Example
from heedful.errors import RequestError
from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.documents import Writer, by_sentences
from heedful.tasks.text_to_text.long_summaries import from_extracts, in_rounds, in_windows


class LongDocument(StrEnum):
    """How a text is read that the model cannot read at once, or should not."""

    TRUNCATE = "truncate"
    """As a whole; its end is cut off where it is longer than the model takes."""
    SENTENCES = "sentences"
    """Sentence by sentence, whatever its length."""
    WINDOWS = "windows"
    """If it is longer than the model takes: in windows of whole sentences, whose answers follow each other."""
    HIERARCHICAL = "hierarchical"
    """In windows too; their summaries are summarized again, until one is left."""
    EXTRACT = "extract"
    """If it is longer than the model takes: its most central sentences, as many as fit, in their order."""


WAYS: Mapping[str, tuple[LongDocument, ...]] = {
    "translation": (LongDocument.SENTENCES, LongDocument.TRUNCATE),
    "summarization": (
        LongDocument.HIERARCHICAL,
        LongDocument.WINDOWS,
        LongDocument.EXTRACT,
        LongDocument.TRUNCATE,
    ),
}
"""The ways of each job; the first is the usual one."""


def way_of(job: str, name: str | None) -> LongDocument:
    """The way called ``name``, or the usual one of the job.

    Raises:
        RequestError: the job has no such way.
    """
    ways = WAYS[job]
    if name is None:
        return ways[0]
    if name not in ways:
        raise RequestError(f"{job} has no way of reading long texts called {name!r:.40}", remedy=_choice(ways))
    return LongDocument(name)


def _choice(ways: Sequence[LongDocument]) -> str:
    return f"Choose one of: {', '.join(ways)}."


def answer_documents(examples: Sequence[Example], writer: Writer, how: LongDocument) -> list[TextAnswer]:
    """Answer texts of any length; those that need no special way are answered as the writer would answer them."""
    return _ANSWERING[how](examples, writer) if examples else []


_ANSWERING: Mapping[LongDocument, Callable[[Sequence[Example], Writer], list[TextAnswer]]] = {
    LongDocument.TRUNCATE: lambda examples, writer: writer.write(examples),
    LongDocument.SENTENCES: by_sentences,
    LongDocument.WINDOWS: in_windows,
    LongDocument.HIERARCHICAL: in_rounds,
    LongDocument.EXTRACT: from_extracts,
}
