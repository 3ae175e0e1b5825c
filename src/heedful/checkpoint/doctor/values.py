"""What the values of stored tensors are like, read a slice at a time. R rows, C columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from heedful.checkpoint.stored import StoredWeights

SLICE = 2**21
"""Values that are looked at at once: 16 MB in float64."""


@dataclass(frozen=True)
class Values:
    """Sums over a tensor; all but the counts are of its finite values."""

    shape: tuple[int, ...]
    nan: int
    """Values that are not a number."""
    infinite: int
    low: float
    high: float
    mean: float
    std: float
    kurtosis: float
    """In excess of a normal distribution's: 0 normal, -1.2 uniform."""
    row_spread: float
    """Variance of the rows' mean squares, relative to what independent values of this kurtosis have: then 1."""
    column_spread: float
    rows: int
    columns: int

    @property
    def count(self) -> int:
        """Values in all."""
        return math.prod(self.shape)

    @property
    def constant(self) -> bool:
        """Whether all values are the same."""
        return self.low == self.high


@dataclass
class _Sums:
    nan: int = 0
    infinite: int = 0
    low: float = math.inf
    high: float = -math.inf
    powers: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Of the values, their squares and their fourth powers."""


def look_at(weights: StoredWeights, on_values: Callable[[int], None]) -> dict[str, Values]:
    """The values of all tensors of numbers with a fraction.

    Args:
        on_values: told how many values were read since it was called before.
    """
    return {
        name: _look_at_one(weights.tensor(name), on_values)
        for name, info in weights.items()
        if info.dtype.is_floating_point and 0 not in info.shape
    }


def _look_at_one(tensor: Tensor, on_values: Callable[[int], None]) -> Values:
    matrix = tensor.detach().reshape(len(tensor), -1) if tensor.dim() > 1 else tensor.detach().reshape(1, -1)
    rows, columns = matrix.shape
    sums, row_squares = _Sums(), torch.zeros(rows, dtype=torch.float64)
    column_squares = torch.zeros(columns, dtype=torch.float64)
    for first_row in range(0, rows, step := max(1, SLICE // columns)):
        for first_column in range(0, columns, SLICE):
            part = (slice(first_row, first_row + step), slice(first_column, first_column + SLICE))
            squares = _add(matrix[part].double(), sums)
            row_squares[part[0]] += squares.sum(1)
            column_squares[part[1]] += squares.sum(0)
            on_values(squares.numel())
    count = max(rows * columns - sums.nan - sums.infinite, 1)
    mean, square, fourth = (power / count for power in sums.powers)
    variance = max(square - mean**2, 0.0)
    kurtosis = fourth / square**2 - 3 if square else 0.0
    return Values(
        shape=tuple(tensor.shape),
        nan=sums.nan,
        infinite=sums.infinite,
        low=sums.low,
        high=sums.high,
        mean=mean,
        std=math.sqrt(variance),
        kurtosis=kurtosis,
        row_spread=_spread(row_squares / columns, columns, kurtosis),
        column_spread=_spread(column_squares / rows, rows, kurtosis),
        rows=rows,
        columns=columns,
    )


def _add(values: Tensor, sums: _Sums) -> Tensor:
    """Add a slice to the sums; its squares, zero where a value is not finite."""
    finite = values.isfinite()
    if not finite.all():
        nan = int(values.isnan().sum())
        sums.nan += nan
        sums.infinite += int((~finite).sum()) - nan
        values = values.where(finite, 0.0)
    if finite.any():
        kept = values[finite] if not finite.all() else values
        sums.low, sums.high = min(sums.low, float(kept.min())), max(sums.high, float(kept.max()))
    squares = values.square()
    for number, power in enumerate((values, squares, squares.square())):
        sums.powers[number] += float(power.sum())
    return squares


def _spread(mean_squares: Tensor, size: int, kurtosis: float) -> float:
    """Variance of mean squares of ``size`` values each, over that of independent values: (κ + 2) / size of the square.

    (Var of x² is (κ + 2) σ⁴ where the mean is 0, and that of a mean of n of them an n-th of it.)
    """
    mean = float(mean_squares.mean())
    if len(mean_squares) < 2 or not mean or kurtosis <= -2:
        return 0.0
    return float(mean_squares.var()) / mean**2 * size / (kurtosis + 2)
