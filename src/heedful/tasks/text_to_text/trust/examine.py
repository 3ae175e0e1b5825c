"""Answers are examined: one more pass over finished answers says how far they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from heedful.model import Transformer
from heedful.tasks.text_to_text.answer import Alignment, TextAnswer
from heedful.tasks.text_to_text.trust.alignment import AlignmentSettings, align, choose_alignment, usual_alignment
from heedful.tasks.text_to_text.trust.attention import Reading, read_answers
from heedful.tasks.text_to_text.trust.case import Case
from heedful.tasks.text_to_text.trust.confidence import fit_confidence, shared_words
from heedful.tasks.text_to_text.trust.doubts import warnings_of
from heedful.tasks.text_to_text.trust.settings import TrustSettings
from heedful.tasks.text_to_text.trust.signals import Usual, measure


@dataclass(frozen=True)
class Findings:
    """What there is to say about an answer; the fields are those of ``TextAnswer``."""

    tokens: tuple[str, ...]
    """Pieces of the answer, which make it up."""
    probabilities: tuple[float, ...]
    """The model's, of each piece, given the source and those before it."""
    confidence: float | None
    alignment: Alignment
    warnings: tuple[str, ...]

    def added_to(self, answer: TextAnswer) -> TextAnswer:
        """The answer with what there is to say about it, behind the warnings that it has."""
        return replace(
            answer,
            tokens=self.tokens,
            probabilities=self.probabilities,
            confidence=self.confidence,
            alignment=self.alignment,
            warnings=(*answer.warnings, *self.warnings),
        )


def examine(
    model: Transformer, cases: Sequence[Case], trust: TrustSettings | None, *, keeps_numbers: bool
) -> list[Findings]:
    """Say of each answer how sure the model was, which word stands for which, and what is odd.

    Args:
        trust: what was fitted for the model; without it there is no confidence, and alignments are by the layer that
            is usually the best.
        keeps_numbers: whether an answer has all numbers of its source, as a translation has.
    """
    alignment = usual_alignment(model) if trust is None else trust.alignment
    readings = read_answers(model, [case.finished for case in cases], layers={alignment.layer})
    found = {number: _findings(cases[number], reading, alignment, trust, keeps_numbers) for number, reading in readings}
    return [found[number] for number in range(len(cases))]


def _findings(
    case: Case, reading: Reading, alignment: AlignmentSettings, trust: TrustSettings | None, keeps_numbers: bool
) -> Findings:
    weights = alignment.weights(reading)
    usual = None if trust is None else trust.usual
    signals = measure(case, reading.log_probabilities, weights, usual or Usual())
    confidence = None if trust is None or trust.confidence is None else trust.confidence.of(signals)
    spans = [(place, span) for place, span in enumerate(case.answer_spans) if span is not None]
    return Findings(
        tokens=tuple(case.answer[slice(*span)] for _, span in spans),
        probabilities=tuple(float(np.exp(reading.log_probabilities[place])) for place, _ in spans),
        confidence=confidence,
        alignment=align(weights, case.source_words, case.answer_words),
        warnings=warnings_of(case, weights, signals, usual, keeps_numbers=keeps_numbers),
    )


def fit_trust(model: Transformer, answers: Sequence[Case], references: Sequence[Case]) -> TrustSettings:
    """Choose and fit on texts that were held out what :func:`examine` needs to know of a model.

    Args:
        answers: N, what the model wrote.
        references: N, what it should have written for the same sources.
    """
    alignment = choose_alignment(model, references)
    usual = Usual.of_lengths(references)
    readings = read_answers(model, [case.finished for case in answers], layers={alignment.layer})
    measured = {
        number: measure(answers[number], reading.log_probabilities, alignment.weights(reading), usual)
        for number, reading in readings
    }
    signals = [measured[number] for number in range(len(answers))]
    shares = [shared_words(case.answer, right.answer) for case, right in zip(answers, references, strict=True)]
    return TrustSettings(
        alignment=alignment, usual=usual.with_limits(signals), confidence=fit_confidence(signals, shares)
    )
