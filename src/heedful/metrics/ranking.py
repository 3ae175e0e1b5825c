"""How well a score separates two kinds of examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from heedful.errors import DataError


def auroc(scores: npt.NDArray[np.floating[Any]], positives: npt.NDArray[np.bool_]) -> float:
    """Area under the receiver operating characteristic: P(score of a positive > score of a negative).

    Exact, with ties counted half: the Mann-Whitney U statistic over its maximum (Hanley and McNeil 1982).
    ``scores`` (N,) are higher for positives; ``positives`` is (N,) bool.

    Raises DataError unless there are both positives and negatives, and every score is a number.
    """
    above, below = scores[positives], np.sort(scores[~positives])
    if not len(above) or not len(below):
        missing = "negative" if len(above) else "positive"
        raise DataError(
            f"AUROC compares positives with negatives, and there is no {missing} example",
            remedy="Evaluate on data that holds both, or leave AUROC out.",
        )
    if np.isnan(scores).any():
        raise DataError("AUROC was given a score that is not a number", remedy="The model has diverged.")
    less = np.searchsorted(below, above, side="left").sum(dtype=np.int64)
    no_greater = np.searchsorted(below, above, side="right").sum(dtype=np.int64)
    return float(less + no_greater) / (2 * len(above) * len(below))
