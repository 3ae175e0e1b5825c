"""Learning rates at every step against their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.training import TrainingSettings
from heedful.training.schedule import SCHEDULES, rate_factor

FORMULAS: dict[str, Callable[[float, int, int], float]] = {
    "cosine": lambda share, step, warmup: math.cos(math.pi * share / 2) ** 2,
    "linear": lambda share, step, warmup: 1 - share,
    "constant": lambda share, step, warmup: 1.0,
    "inverse_square_root": lambda share, step, warmup: (step / max(1, warmup)) ** -0.5,
}
"""By the share of the way from the peak to the step after the last."""


def test_every_schedule_is_tried_here_and_can_be_asked_for() -> None:
    assert set(FORMULAS) == set(SCHEDULES) == set(get_args(TrainingSettings.model_fields["schedule"].annotation))


@pytest.mark.parametrize("warmup", [0, 1, 7, 40])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_has_the_rate_of_the_formula(schedule: str, warmup: int) -> None:
    total = 40
    for step in range(1, total + 1):
        factor = rate_factor(schedule, step, warmup=warmup, total=total)
        if step < warmup:
            assert factor == pytest.approx(step / warmup, rel=1e-14)
        else:
            share = (step - max(1, warmup)) / (total + 1 - max(1, warmup))
            assert factor == pytest.approx(FORMULAS[schedule](share, step, warmup), rel=1e-12)


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 500), st.integers(0, 600))
def test_rates_rise_to_the_peak_then_fall_and_are_never_zero(schedule: str, total: int, warmup: int) -> None:
    factors = [rate_factor(schedule, step, warmup=warmup, total=total) for step in range(1, total + 1)]
    peak = max(1, warmup)
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak - 1 :] == sorted(factors[peak - 1 :], reverse=True)
    if peak <= total:
        assert factors[peak - 1] == 1


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_inverse_square_root_is_the_papers(step: int, warmup: int) -> None:
    """Vaswani et al. 2017, equation 3, divided by its value at the end of the warm-up."""
    paper = min(step**-0.5, step * warmup**-1.5) / warmup**-0.5
    assert rate_factor("inverse_square_root", step, warmup=warmup, total=1000) == pytest.approx(paper, rel=1e-12)


@pytest.mark.parametrize(("warmup", "steps"), [(0, 0), (0.1, 20), (0.004, 1), (1, 1), (30, 30), (999, 999)])
def test_warmup_is_a_share_below_one_and_steps_from_one_on(warmup: float, steps: int) -> None:
    assert TrainingSettings(warmup=warmup).warmup_steps(200) == steps
