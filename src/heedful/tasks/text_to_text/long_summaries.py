"""Summaries of texts that are longer than a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from heedful.data import Example
from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.documents import Writer, merge
from heedful.text.centrality import centrality
from heedful.text.pieces import Span, SplitText, in_a_row, pack

_SHRINKING = 0.9
"""What a round of summaries must bring a text down to; otherwise the next one would not help either."""
_STUCK = "the summaries of its parts did not get shorter: they follow each other"


def in_windows(examples: Sequence[Example], writer: Writer) -> list[TextAnswer]:
    """Summarize each window of whole sentences; the summaries follow each other."""
    splits = []
    for example in examples:
        text = example.text
        spans: Sequence[Span] = ((0, len(text)),)
        if not writer.fits(text):
            spans = pack(text, writer.sentences(text)[0], writer.count_tokens, writer.max_length)
        splits.append(SplitText(text, tuple(spans)))
    answered = zip(splits, writer.answer(examples, splits), strict=True)
    return [
        answers[0] if len(answers) == 1 else merge(split, in_a_row([a.text for a in answers]), answers)
        for split, answers in answered
    ]


def in_rounds(examples: Sequence[Example], writer: Writer) -> list[TextAnswer]:
    """Summarize the summaries of windows, until each is one of a text that the model takes whole."""
    first = in_windows(examples, writer)
    final, read = list(first), list(examples)
    rounds = [[max(len(answer.parts), 1)] for answer in first]
    waiting = [number for number, answer in enumerate(first) if answer.parts]
    while waiting:
        again = []
        for number in waiting:
            text = final[number].text.strip()
            if writer.count_tokens(text) <= _SHRINKING * writer.count_tokens(read[number].text):
                read[number] = read[number]._replace(text=text)
                again.append(number)
            else:
                final[number] = replace(final[number], warnings=(_STUCK, *final[number].warnings))
        for number, answer in zip(again, in_windows([read[number] for number in again], writer), strict=True):
            final[number] = answer
            rounds[number].append(max(len(answer.parts), 1))
        waiting = [number for number in again if final[number].parts]
    return [
        answer if len(counts) == 1 else _of_summaries(whole, answer, counts)
        for whole, answer, counts in zip(first, final, rounds, strict=True)
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


def from_extracts(examples: Sequence[Example], writer: Writer) -> list[TextAnswer]:
    """Summarize the most central sentences of each text, as many as the model takes."""
    extracts = {n: extract(example.text, writer) for n, example in enumerate(examples) if not writer.fits(example.text)}
    reads = [
        example._replace(text=extracts[number].text) if number in extracts else example
        for number, example in enumerate(examples)
    ]
    answers = list(writer.write(reads))
    for number, read in extracts.items():
        answer = answers[number]
        note = f"read were the most central sentences, {read.kept:,} of {read.total:,}"
        answers[number] = replace(
            answer,
            cut_tokens=answer.cut_tokens + writer.count_tokens(examples[number].text) - writer.count_tokens(read.text),
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
    spans, _ = writer.sentences(text)
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
