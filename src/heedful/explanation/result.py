"""What an explanation says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.console import RenderableType

LOW_SOURCE = 0.2
"""A word whose source share is below this hardly looked at the source: 3 in 1,000 tokens of a translator's answers are,
and 35 where the answers stand beside another source (docs/lab-notes.md, 2026-11-30)."""


class Presenter(NamedTuple):
    """How explanations are shown."""

    save: Callable[[Any, str | Path], None]
    terminal: Callable[[Any], RenderableType]
    fragment: Callable[[Any], str]


class Presentable:
    """What can be shown. The report, which knows all kinds of explanations, says how."""

    presenter: ClassVar[Presenter]
    """Set by :mod:`heedful.explanation.report`."""

    def to_json(self) -> str:
        """As a JSON document."""
        return _json(self)

    def save(self, path: str | Path) -> None:
        """Write a report (.html), the data (.json) or a picture (.svg, .png), by the ending of ``path``.

        Raises:
            RequestError: another ending.
            OutputError, JobError: ``path`` cannot be written.
        """
        self.presenter.save(self, path)

    def __rich__(self) -> RenderableType:
        return self.presenter.terminal(self)

    def _repr_html_(self) -> str:
        return self.presenter.fragment(self)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, and how much it speaks for what is explained."""

    text: str
    start: int
    end: int
    """[start, end) in characters of the text."""
    score: float


@dataclass(frozen=True, slots=True)
class Rival:
    """A label that stands against the one that is explained."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class LabelScores:
    """What speaks for one of the labels; the same words as in the explanation that this belongs to."""

    label: str
    probability: float
    logit: float
    bias: float
    words: tuple[float, ...]
    special: float
    """Sum over the tokens that belong to no word. Words, special and bias sum to the logit."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What becomes of the label when the words that speak most for it are hidden."""

    k: int
    words: tuple[str, ...]
    """(k,), those that are hidden."""
    probability: float
    """Of the label, without them."""
    random: float
    """Of the label, without k words drawn at random: the mean over draws."""


@dataclass(frozen=True)
class Explanation(Presentable):
    """How much each part of a text speaks for a label. N tokens, W words."""

    text: str
    label: str
    """The label that the scores speak for."""
    against: str | None
    """The label that they speak against, where a difference of logits is explained."""
    logit: float
    """Of the label, less that of the other one if there is one."""
    probability: float
    """Of the label."""
    runner_up: Rival | None
    """The most probable other label; None where there is no other."""
    tokens: tuple[str, ...]
    """(N,), what was scored: pieces as the vocabulary has them, or words where a method hides whole words."""
    scores: tuple[float, ...]
    """(N,): above 0 where a token speaks for the label, below where it speaks against it; in logits."""
    bias: float | None
    """What no token of the text has a part in: positions, biases. None for methods whose scores have no sum."""
    words: tuple[Word, ...]
    """(W,), each with the sum of the scores of its tokens."""
    method: str
    windows: int = 1
    """Windows that the text was read in; the logit is the mean over them."""
    labels: tuple[LabelScores, ...] = ()
    """The same for the most probable labels, the most probable first; only where asked for."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how the scores came about."""
    faithfulness: dict[str, float] | None = None
    """How far explanations of this model and method could be trusted on data, where that was measured."""
    verify: tuple[Removal, ...] = ()
    """By k, ascending; only where asked for."""

    @property
    def claim(self) -> str:
        """What is explained, in words."""
        return self.label if self.against is None else f"{self.label} rather than {self.against}"

    @property
    def gap(self) -> float | None:
        """Logit less the sum of scores and bias: rounding, where a method sums to the logit; None elsewhere."""
        return None if self.bias is None else self.logit - (sum(self.scores) + self.bias)

    @property
    def sum_line(self) -> str:
        """The sum, written out."""
        total, gap, logit = sum(self.scores), self.gap, f"logit {self.logit:.3f}".replace("-", "−")
        if self.bias is None or gap is None:
            return logit
        sign = "✓" if abs(gap) <= 1e-4 * max(1.0, abs(self.logit)) else f"(off by {gap:.1e})"
        return f"tokens {signed(total)}, bias {signed(self.bias)} = {logit} {sign}"


@dataclass(frozen=True)
class WrittenExplanation(Presentable):
    """How much each part of a source, and of what was written before, speaks for each word that was written.

    W words of the source, U words of the answer. For each of the U words, ``source`` + ``source_special`` +
    ``prefix`` + ``start`` + ``bias`` sums to ``logits``: the sum over its tokens of their logits.
    """

    text: str
    answer: str
    words: tuple[str, ...]
    """(W,), of the source."""
    spans: tuple[tuple[int, int], ...]
    """(W,), [start, end) of each in characters of the source."""
    written: tuple[str, ...]
    """(U,), of the answer; the last is the end token where the answer has one."""
    source: NDArray[np.float64]
    """(U, W)."""
    source_special: NDArray[np.float64]
    """(U,), of tokens of the source that belong to no word: its end, its language."""
    prefix: NDArray[np.float64]
    """(U, U), of words written before, and of the word's own first tokens; exactly 0 at words written later."""
    start: NDArray[np.float64]
    """(U,), of what the decoder read before its first word."""
    bias: NDArray[np.float64]
    """(U,)."""
    logits: NDArray[np.float64]
    """(U,)."""
    probabilities: NDArray[np.float64]
    """(U,), of each word, given what came before."""
    source_share: NDArray[np.float64]
    """(U,), in [0, 1]: how much of all that was looked at was the source (ALTI+, Ferrando et al. 2022)."""
    alignment: tuple[tuple[int, int], ...]
    """(word of the source, word of the answer)."""
    method: str
    notes: tuple[str, ...] = ()


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _json(explanation: Any) -> str:
    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else str(value)

    return json.dumps(asdict(explanation), indent=2, ensure_ascii=False, default=plain) + "\n"
