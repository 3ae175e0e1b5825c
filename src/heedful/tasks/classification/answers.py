"""From logits to answers. N texts, C labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from heedful.data import Example, LabelKind
from heedful.errors import DataError, RequestError
from heedful.tasks.classification.settings import ClassifierCard


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer for one text."""

    label: str | None
    """The most probable label; None where the classifier abstains, or where no label of several applies."""
    score: float
    """Probability of the most probable label, in [0, 1], whether or not it is given."""
    scores: dict[str, float]
    """Probability of every label, most probable first; they sum to 1 unless a text may have several."""
    labels: tuple[str, ...] = ()
    """All labels given: one, or any number where a text may have several."""
    cut_tokens: int = 0
    """Tokens of the text that the network did not see."""
    windows: int = 1
    """Windows of the text whose logits were averaged."""


@dataclass(frozen=True)
class Scored:
    """Logits of N texts, and what was done to fit them in."""

    logits: NDArray[np.float64]
    """(N, C), not divided by the temperature."""
    cut_tokens: NDArray[np.int64]
    windows: NDArray[np.int64]


def probabilities_of(logits: NDArray[np.float64], card: ClassifierCard) -> NDArray[np.float64]:
    """Calibrated probabilities (N, C) of logits (N, C)."""
    scaled = torch.from_numpy(logits) / card.temperature
    scores = scaled.sigmoid() if card.label_kind is LabelKind.MULTI else scaled.softmax(-1)
    return np.asarray(scores.numpy())


def answers_of(scored: Scored, card: ClassifierCard) -> list[Classification]:
    """One answer for each text."""
    rows = zip(probabilities_of(scored.logits, card), scored.cut_tokens.tolist(), scored.windows.tolist(), strict=True)
    return [_answer(card, *row) for row in rows]


def no_answer() -> Classification:
    """The answer for an empty text: where every line of a file has one, answers stay in line with it."""
    return Classification(label=None, score=0.0, scores={}, windows=0)


def _answer(card: ClassifierCard, probabilities: NDArray[np.float64], cut_tokens: int, windows: int) -> Classification:
    order = np.argsort(-probabilities, kind="stable")
    scores = {card.labels[index]: float(probabilities[index]) for index in order}
    score = float(probabilities[order[0]])
    if card.label_kind is LabelKind.MULTI:
        given = tuple(label for label, value in scores.items() if value >= card.threshold)
    else:
        given = () if score < (card.abstain_below or 0) else (card.labels[order[0]],)
    return Classification(given[0] if given else None, score, scores, given, cut_tokens, windows)


def example_of(entry: object, number: int) -> Example:
    """What a caller of ``predict`` gave as the text or pair of texts ``number``, from 1.

    Raises:
        RequestError: it is neither a text nor a pair of texts.
        DataError: it is empty.
    """
    match entry:
        case str(text):
            pair = None
        case (str(text), str(pair)):
            pass
        case _:
            raise RequestError(f"text {number} is {entry!r:.80}, neither a text nor a pair of texts")
    if not text.strip() or (pair is not None and not pair.strip()):
        raise DataError(f"text {number} is empty", remedy="Leave empty texts out.")
    return Example(text, pair, (), number)
