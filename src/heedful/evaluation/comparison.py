"""One model against another on the same examples: how large the difference is, and whether it could be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heedful.errors import RequestError
from heedful.metrics import Comparison, Metric, approximate_randomisation, paired_bootstrap
from heedful.settings import nearest
from heedful.tasks.base import Assessment

TRIALS_PER_RESAMPLE = 10
"""Of approximate randomisation: one costs as much as a resample, and small p-values need many."""


@dataclass(frozen=True, slots=True)
class Rival:
    """How another model did, and what that says.

    ``metrics`` are paired bootstrap comparisons (Koehn 2004) in which the first system is the rival and the second the
    model that was evaluated, so that a positive difference means that the latter has the larger value.
    ``randomised`` are the p-values of approximate randomisation (Riezler and Maxwell 2005).
    """

    name: str
    metrics: dict[str, Comparison]
    randomised: dict[str, float]


def compare(
    name: str, rival: Assessment, own: Assessment, metrics: Mapping[str, Metric[Any]], *, resamples: int
) -> Rival:
    """Test by every metric whether the answers behind ``own`` are better than those behind ``rival``.

    Args:
        name: of the rival.

    Raises:
        RequestError: they are answers to different questions, or ``resamples`` is 0.
        DataError: they are answers to different examples.
    """
    if own.classes != rival.classes:
        apart = [label for label in rival.classes if label not in own.classes]
        fault = f"knows {apart[0]!r}; {nearest(apart[0], own.classes)}" if apart else "has its labels in another order"
        raise RequestError(
            f"{name} {fault}", remedy="Compare classifiers that were trained with the same labels in the same order."
        )
    pair = rival.statistics, own.statistics
    return Rival(
        name,
        paired_bootstrap(metrics.values(), *pair, resamples=resamples),
        approximate_randomisation(metrics.values(), *pair, trials=TRIALS_PER_RESAMPLE * resamples),
    )
