"""Temperature scaling: make the confidence of a classifier mean what it says (Guo et al. 2017)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from heedful.errors import DataError
from heedful.metrics.metric import Floats
from heedful.metrics.tables import Integers, Labels, require_classes

MAX_TEMPERATURE = 10.0
"""Temperatures stay between 1 / 10 and 10: where every answer is right the likelihood grows for ever as the
temperature falls, and where every answer is wrong as it rises."""
TOLERANCE = 1e-9
"""Of the log-temperature."""
MAX_STEPS = 100


def fit_temperature(logits: npt.NDArray[np.floating[Any]], labels: Labels) -> float:
    """The T for which softmax(logits / T) makes held-out labels most likely (Guo et al. 2017, equation 9).

    ``logits`` is (N, C); ``labels`` is (N,) int64, or (N, C) bool, where sigmoid(logits / T) is meant. The
    negative log-likelihood is convex in 1 / T, so Newton's method on log T within a shrinking bracket finds
    its minimum; it is deterministic, never worse on this data than T = 1, and within [1 / 10, 10].

    Raises DataError where there is no example, shapes disagree, a label is outside [0, C) or a logit is not
    finite.
    """
    margins = _margins(logits, labels)
    low, high = -np.log(MAX_TEMPERATURE), np.log(MAX_TEMPERATURE)
    log_inverse = 0.0
    for _ in range(MAX_STEPS):
        slope, curvature = _derivatives(margins, log_inverse)
        low, high = (log_inverse, high) if slope < 0 else (low, log_inverse)
        newton = log_inverse - slope / curvature if curvature > 0 else np.inf
        previous, log_inverse = log_inverse, newton if low <= newton <= high else (low + high) / 2
        if abs(log_inverse - previous) < TOLERANCE:
            break
    if _loss(margins, log_inverse) >= _loss(margins, 0.0):
        return 1.0
    return float(np.exp(-log_inverse))


def _margins(logits: npt.NDArray[np.floating[Any]], labels: Labels) -> Floats:
    """Each logit minus that of the true class (N, C); several labels become N x C choices of yes or no."""
    if logits.ndim != 2 or labels.shape not in (logits.shape, logits.shape[:1]):
        raise DataError(
            f"labels of shape {labels.shape} do not go with logits of shape {logits.shape}",
            remedy="Give logits (N, C), and labels (N,) int64 or (N, C) bool.",
        )
    if not len(labels):
        raise DataError("there is no example to calibrate on", remedy="Hold out at least one example.")
    if not np.isfinite(logits).all():
        raise DataError("there is a logit that is not finite", remedy="The model has diverged: train again.")
    logits = logits.astype(np.float64)
    if labels.ndim == 2:
        towards_truth = np.where(labels, logits, -logits).reshape(-1, 1)
        return np.hstack([np.zeros_like(towards_truth), -towards_truth])
    classes = cast(Integers, labels)
    require_classes("label", classes, logits.shape[1])
    return logits - np.take_along_axis(logits, classes[:, None], axis=1)


def _loss(margins: Floats, log_inverse: float) -> float:
    scaled = margins * np.exp(log_inverse)
    largest = scaled.max(axis=1)
    return float((largest + np.log(np.exp(scaled - largest[:, None]).sum(axis=1))).mean())


def _derivatives(margins: Floats, log_inverse: float) -> tuple[float, float]:
    """First and second derivative of the loss by log(1 / T)."""
    scaled = margins * np.exp(log_inverse)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    mean = (weights * scaled).sum(axis=1)
    variance = (weights * scaled**2).sum(axis=1) - mean**2
    return float(mean.mean()), float((mean + variance).mean())
