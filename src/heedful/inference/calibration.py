"""What a network's linear maps are given, and the spans to round it within. R rows, I inputs, O outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from heedful.nn.int8 import LEVELS, Int8Linear, whole_numbers

ROWS_KEPT = 64
"""Of the inputs of one call, evenly spread."""
SHARES = [0.3 + 0.02 * step for step in range(36)]
"""Of the whole span, that are tried."""


@dataclass
class Inputs:
    """What a linear map was given."""

    low: float = 0.0
    high: float = 0.0
    rows: list[Tensor] = field(default_factory=list)
    """Some of them, (R, I) each."""

    def see(self, x: Tensor) -> None:
        """Note the inputs (..., I) of a call."""
        rows = x.detach().reshape(-1, x.shape[-1])
        if len(rows):
            self.low, self.high = min(self.low, float(rows.min())), max(self.high, float(rows.max()))
            self.rows.append(rows[:: max(1, len(rows) // ROWS_KEPT)][:ROWS_KEPT].float().clone())

    def span(self) -> tuple[float, float]:
        """The span whose whole numbers are nearest to the inputs, by the mean square.

        A few large values take room from all others: a span that cuts them off may be nearer.
        """
        values = torch.cat([rows.flatten() for rows in self.rows]).double()
        spans = [(self.low * share, self.high * share) for share in SHARES]
        return min(spans, key=lambda span: _error(values, *whole_numbers(*span)))

    def error(self, linear: nn.Linear, rounded: Int8Linear) -> float:
        """How far a rounded map's outputs are from those of the map itself, relative, by the mean square."""
        error = size = 0.0
        for rows in self.rows:  # one after the other: a vocabulary's outputs of them all are large
            exact = linear(rows).detach()
            error += float((rounded(rows) - exact).square().sum())
            size += float(exact.square().sum())
        return math.sqrt(error / size) if size else 0.0


def _error(values: Tensor, scale: float, zero_point: int) -> float:
    """The mean square of what rounding changes."""
    rounded = ((values / scale).round() + zero_point).clamp(0, LEVELS).sub(zero_point).mul(scale)
    return float((rounded - values).square().mean())


@contextmanager
def observing(linears: Mapping[str, nn.Linear]) -> Iterator[dict[str, Inputs]]:
    """Note what linear maps are given while the block runs."""
    inputs = {name: Inputs() for name in linears}
    hooks = [
        linear.register_forward_pre_hook(lambda _, arguments, seen=inputs[name]: seen.see(arguments[0]))
        for name, linear in linears.items()
    ]
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()
