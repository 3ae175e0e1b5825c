"""Summaries of texts that are longer than a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.documents import Writer, merge
from heedful.text.centrality import centrality
from heedful.text.pieces import Span, SplitText, cut_to_fit, in_a_row, pack
from heedful.text.sentences import split_sentences

_SHRINKING = 0.9
"""What a round of summaries must bring a text down to; otherwise the next one would not help either."""


class LongDocument(StrEnum):
    """How a text that is longer than the model takes is summarized."""

    TRUNCATE = "truncate"
    """Its beginning is."""
    WINDOWS = "windows"
    """It is read in windows of whole sentences, each has a summary of its own, and these follow each other."""
    HIERARCHICAL = "hierarchical"
    """The summaries of its windows are summarized again, until one is left."""
    EXTRACT = "extract"
    """Its most central sentences are, as many as the model takes, in their order."""


def summarize_documents(texts: Sequence[str], writer: Writer, how: LongDocument) -> list[TextAnswer]:
    """Summarize texts of any length; one that the model takes whole is summarized whole, however long ones are."""
    if how is LongDocument.TRUNCATE:
        return writer.write(texts) if texts else []
    if how is LongDocument.EXTRACT:
        return _from_extracts(texts, writer)
    merged = _in_windows(texts, writer)
    return merged if how is LongDocument.WINDOWS else _summarize_again(texts, merged, writer)


def _sentences(text: str, writer: Writer) -> list[Span]:
    """Sentences, those in parts that the model does not take whole."""
    sentences = split_sentences(text, writer.language)
    return cut_to_fit(text, sentences.spans, writer.count_tokens, writer.max_length)


def _in_windows(texts: Sequence[str], writer: Writer) -> list[TextAnswer]:
    """A summary of each window, one after the other."""
    splits = []
    for text in texts:
        spans: Sequence[Span] = ((0, len(text)),)
        if not writer.fits(text):
            spans = pack(text, _sentences(text, writer), writer.count_tokens, writer.max_length)
        splits.append(SplitText(text, tuple(spans)))
    answered = zip(splits, writer.answer(splits), strict=True)
    return [
        answers[0] if len(answers) == 1 else merge(split, in_a_row([a.text for a in answers]), answers)
        for split, answers in answered
    ]


def _summarize_again(texts: Sequence[str], merged: Sequence[TextAnswer], writer: Writer) -> list[TextAnswer]:
    """Summaries of summaries, until each is one of a text that the model takes whole."""
    final = list(merged)
    read = list(texts)
    rounds = [[max(len(answer.parts), 1)] for answer in merged]
    waiting = [number for number, answer in enumerate(merged) if answer.parts]
    while waiting:
        stuck = {n for n in waiting if writer.count_tokens(final[n].text) > _SHRINKING * writer.count_tokens(read[n])}
        for number in stuck:
            note = "the summaries of its parts did not get shorter: they follow each other"
            final[number] = replace(final[number], warnings=(note, *final[number].warnings))
        waiting = [number for number in waiting if number not in stuck]
        for number in waiting:
            read[number] = final[number].text
        for number, answer in zip(waiting, _in_windows([read[number] for number in waiting], writer), strict=True):
            final[number] = answer
            rounds[number].append(max(len(answer.parts), 1))
        waiting = [number for number in waiting if final[number].parts]
    return [
        answer if len(counts) == 1 else _of_summaries(first, answer, counts)
        for first, answer, counts in zip(merged, final, rounds, strict=True)
    ]


def _of_summaries(first: TextAnswer, last: TextAnswer, counts: Sequence[int]) -> TextAnswer:
    """The last of several summaries, with what there is to say about the first ones, which were of the text itself."""
    steps = ", then ".join(f"{count:,}" for count in counts)
    return replace(
        last,
        cut_tokens=first.cut_tokens + last.cut_tokens,
        is_complete=first.is_complete and last.is_complete,
        alignment=(),  # with the summaries, not with the text
        warnings=(f"a summary of summaries: {steps}", *first.warnings, *last.warnings),
        parts=first.parts,
    )


def _from_extracts(texts: Sequence[str], writer: Writer) -> list[TextAnswer]:
    extracts = {number: extract(text, writer) for number, text in enumerate(texts) if not writer.fits(text)}
    reads = [extracts[number].text if number in extracts else text for number, text in enumerate(texts)]
    answers = writer.write(reads) if reads else []
    for number, read in extracts.items():
        answer = answers[number]
        note = f"read were the most central sentences, {read.kept:,} of {read.total:,}"
        answers[number] = replace(
            answer,
            cut_tokens=answer.cut_tokens + writer.count_tokens(texts[number]) - writer.count_tokens(read.text),
            alignment=(),  # with the extract, not with the text
            warnings=(note, *answer.warnings),
            parts=((read.text, answer.text),),
        )
    return answers


@dataclass(frozen=True, slots=True)
class Extract:
    """The sentences of a text that are read, and how many these are of how many."""

    text: str
    kept: int
    total: int


def extract(text: str, writer: Writer) -> Extract:
    """The most central sentences that the model takes together, in their order."""
    spans = _sentences(text, writer)
    ranks = centrality([text[slice(*span)] for span in spans])
    order = sorted(range(len(spans)), key=lambda number: (-ranks[number], number))
    gaps = (*SplitText(text, tuple(spans)).spaces[1:-1], "")

    def best(count: int) -> str:
        return "".join(text[slice(*spans[number])] + gaps[number] for number in sorted(order[:count])).rstrip()

    least, most = 1, len(spans)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if writer.fits(best(middle)) else (least, middle)
    return Extract(best(least), least, len(spans))
