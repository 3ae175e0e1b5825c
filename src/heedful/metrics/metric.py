"""What a metric is, and what its value on a data set is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

Direction = Literal["higher", "lower"]
Unit = Literal["%", "points", "nats", ""]
Floats = npt.NDArray[np.float64]

TallyT = TypeVar("TallyT")

SPELLINGS = {
    "f1": "F1",
    "mcc": "MCC",
    "ece": "ECE",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "iou": "IoU",
    "brier": "Brier score",
    "hamming": "Hamming",
    "bleu": "BLEU",
    "chrf": "chrF",
    "chrfpp": "chrF++",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
}


def readable(name: str) -> str:
    """The name of a metric as people write it: ``macro_f1`` is macro F1."""
    return " ".join(SPELLINGS.get(word, word) for word in name.split("_"))


@dataclass(frozen=True, slots=True)
class Metric(Generic[TallyT]):
    """A named number that a data set's tally gives.

    ``direction`` says which way is better. ``unit`` is how the number is shown: ``%`` is a share of one that
    is shown times one hundred; ``points`` go from 0 to 100. ``compute`` maps the tallies of R weighted copies of the
    data set to (R,) values, so that a value and its bootstrap interval come from the same code.
    """

    name: str
    direction: Direction
    unit: Unit
    compute: Callable[[TallyT], Floats]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric's value and the ends of its interval, which are None where no interval was asked for.

    ``confidence`` is the interval's level, for example 0.95.
    """

    value: float
    low: float | None
    high: float | None
    direction: Direction
    unit: Unit
    confidence: float

    @property
    def number(self) -> str:
        """The value in its unit, as people read it: ``92.1`` (%), ``0.913``."""
        return self.in_unit(self.value)

    @property
    def interval(self) -> str:
        """The interval in the value's unit, ``91.0 – 93.2``; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.in_unit(self.low)} – {self.in_unit(self.high)}"

    def in_unit(self, number: float, *, signed: bool = False) -> str:
        """Any number of this metric, such as a difference, as people read it; with ``+`` where it is ``signed``."""
        sign = "+" if signed else ""
        if self.unit in ("%", "points"):
            return f"{number * (100 if self.unit == '%' else 1):{sign}.1f}"
        return f"{number:{sign}.3f}"

    def __str__(self) -> str:
        parts = (self.number, self.unit, f"({self.interval})" if self.interval else "")
        return " ".join(part for part in parts if part)
