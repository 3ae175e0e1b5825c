"""Texts longer than a sentence: taken apart, answered piece by piece, and put together again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from heedful.data import Example
from heedful.tasks.text_to_text.answer import Alignment, TextAnswer
from heedful.tasks.text_to_text.trust.words import word_spans
from heedful.text.pieces import CountTokens, Span, SplitText, cut_to_fit
from heedful.text.sentences import split_sentences


@dataclass(frozen=True, slots=True)
class Writer:
    """Who answers pieces of texts, and how much it can read at once."""

    write: Callable[[Sequence[Example]], list[TextAnswer]]
    """Answers examples, one each, in their order; a piece is the example that it comes from with another text."""
    count_tokens: CountTokens
    """What the network would read for a text, special tokens and all; of an empty text, these alone."""
    max_length: int
    """Tokens that the network takes."""
    language: str | None = None
    """Of the texts, in any of the usual forms; it says which rules tell sentences apart."""

    def fits(self, text: str) -> bool:
        """Whether the network takes a text whole."""
        return self.count_tokens(text) <= self.max_length

    def sentences(self, text: str) -> tuple[list[Span], int]:
        """The sentences of a text, those in parts that the network does not take whole; and how many these are."""
        whole = split_sentences(text, self.language).spans
        fitted = cut_to_fit(text, whole, self.count_tokens, self.max_length)
        return fitted, len(set(whole) - set(fitted))

    def answer(self, examples: Sequence[Example], splits: Sequence[SplitText]) -> list[list[TextAnswer]]:
        """The answers for all pieces of several texts; they are written side by side."""
        pieces = [
            example._replace(text=piece)
            for example, split in zip(examples, splits, strict=True)
            for piece in split.pieces
        ]
        answers = iter(self.write(pieces) if pieces else [])
        return [list(islice(answers, len(split.spans))) for split in splits]


def by_sentences(examples: Sequence[Example], writer: Writer) -> list[TextAnswer]:
    """Translate texts sentence by sentence; all white space between sentences and lines stays as it is.

    A sentence that the model does not take whole is cut at clauses, or else between words, or else anywhere: nothing is
    left out. A blank text is its own translation.
    """
    splits, notes = [], []
    for example in examples:
        spans, num_cut = writer.sentences(example.text)
        splits.append(SplitText(example.text, tuple(spans)))
        notes.append((f"sentences longer than the model takes, translated in parts: {num_cut:,}",) * bool(num_cut))
    answered = zip(splits, writer.answer(examples, splits), notes, strict=True)
    return [merge(split, split.replace([a.text for a in answers]), answers, note) for split, answers, note in answered]


def merge(
    split: SplitText, answered: SplitText, answers: Sequence[TextAnswer], notes: tuple[str, ...] = ()
) -> TextAnswer:
    """One answer out of those for the pieces of a text.

    Score and confidence are means, weighted by the words of each answer; alternatives are put together by rank; what
    makes a reader look twice is told with the number of the piece.

    Args:
        split: the text and its pieces.
        answered: their answers, put together.
        notes: what else to warn of.
    """
    if not answers:
        return TextAnswer(answered.text, 0.0)
    only = len(answers) == 1
    weights = [max(len(word_spans(answer.text)), 1) for answer in answers]
    told = [
        warning if only else f"part {number}: {warning}"
        for number, answer in enumerate(answers, 1)
        for warning in answer.warnings
    ]
    ranks = zip(*(answer.alternatives for answer in answers), strict=False)
    return TextAnswer(
        text=answered.text,
        score=_mean([answer.score for answer in answers], weights),
        cut_tokens=sum(answer.cut_tokens for answer in answers),
        is_complete=all(answer.is_complete for answer in answers),
        alternatives=tuple(split.replace(texts).text for texts in ranks),
        tokens=tuple(token for answer in answers for token in answer.tokens),
        probabilities=tuple(probability for answer in answers for probability in answer.probabilities),
        confidence=_confidence(answers, weights),
        alignment=_alignment(split, answered, answers),
        warnings=(*notes, *told),
        origin="memory" if all(answer.origin == "memory" for answer in answers) else "model",
        parts=() if only else tuple(zip(split.pieces, (answer.text for answer in answers), strict=True)),
    )


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)


def _confidence(answers: Sequence[TextAnswer], weights: Sequence[int]) -> float | None:
    known = [answer.confidence for answer in answers if answer.confidence is not None]
    return _mean(known, weights) if len(known) == len(answers) else None


def _alignment(split: SplitText, answered: SplitText, answers: Sequence[TextAnswer]) -> Alignment:
    """The alignments of the pieces, in words of the whole text and of its answer."""
    firsts = zip(first_words(split), first_words(answered), strict=True)
    return tuple(
        (source + first_source, target + first_target)
        for answer, (first_source, first_target) in zip(answers, firsts, strict=True)
        for source, target in answer.alignment
    )


def first_words(split: SplitText) -> list[int]:
    """The number of the word, of all words of the text, that each piece begins with."""
    starts = [start for start, _ in word_spans(split.text)]
    return [max(bisect_right(starts, start) - 1, 0) for start, _ in split.spans]
