"""What a network's linear maps are given, and the spans to round it within. R rows, I inputs, O outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from heedful.nn.int8 import LEVELS, Int8Linear

ROWS_KEPT = 64
"""Of the inputs of one call, evenly spread."""
SHARES = torch.linspace(0.3, 1.0, 36, dtype=torch.float64)
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
        low, high = self.low * SHARES, self.high * SHARES
        widths = ((high - low) / LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
        errors = [
            (_rounded(values, float(start), float(width)) - values).square().mean()
            for start, width in zip(low, widths, strict=True)
        ]
        best = int(torch.stack(errors).argmin())
        return float(low[best]), float(high[best])

    def error(self, linear: nn.Linear, rounded: Int8Linear) -> float:
        """How far a rounded map's outputs are from those of the map itself, relative, by the mean square."""
        rows = torch.cat(self.rows)
        exact = linear(rows).detach()
        error, size = (float(each.square().sum()) for each in (rounded(rows) - exact, exact))
        return math.sqrt(error / size) if size else 0.0


def _rounded(values: Tensor, low: float, width: float) -> Tensor:
    zero_point = round(-low / width)
    return ((values / width).round() + zero_point).clamp(0, LEVELS).sub(zero_point).mul(width)


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
