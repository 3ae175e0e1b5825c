"""Learning-rate schedules: the factor by which the peak rate is multiplied at each optimiser step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

Schedule = Callable[[int, int, int], float]
"""(step counted from 1, warm-up steps, steps in all) -> factor in [0, 1]."""


def _progress(step: int, warmup: int, total: int) -> float:
    """0 at the step of the peak, 1 one step after the last: no step is wasted on a rate of 0."""
    peak = max(1, warmup)
    return (step - peak) / (total + 1 - peak)


def cosine(step: int, warmup: int, total: int) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, SGDR, equation 5 without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * _progress(step, warmup, total)))


def linear(step: int, warmup: int, total: int) -> float:
    """A straight line from 1 to 0."""
    return 1 - _progress(step, warmup, total)


def constant(step: int, warmup: int, total: int) -> float:  # noqa: ARG001 - one signature for all schedules
    """1 throughout."""
    return 1.0


def inverse_square_root(step: int, warmup: int, total: int) -> float:  # noqa: ARG001
    """√(warm-up / step) (Vaswani et al. 2017, section 5.3, equation 3, scaled to a peak of 1)."""
    return math.sqrt(max(1, warmup) / step)


SCHEDULES: Mapping[str, Schedule] = {
    "cosine": cosine,
    "linear": linear,
    "constant": constant,
    "inverse_square_root": inverse_square_root,
}


def rate_factor(schedule: str, step: int, *, warmup: int, total: int) -> float:
    """The factor at ``step`` (from 1): rises linearly to 1 over ``warmup`` steps, then follows ``schedule``."""
    if step < warmup:
        return step / warmup
    return SCHEDULES[schedule](step, warmup, total)
