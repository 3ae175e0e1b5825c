"""Which layers look as if they had never been trained.

Training leaves traces that chance does not: rows and columns of a matrix grow apart in size, the distribution of its
values gets tails, a bias moves away from zero and a norm away from the identity. A layer *looks untrained* where none
of these traces is there:

- a matrix whose values are all the same;
- a matrix that cannot be told from independent draws of one of the usual distributions, beside a bias that is exactly
  zero, or, where it has no bias, in a model most of whose other matrices clearly are no such draws;
- a norm that is exactly the identity, in a model where most norms are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heedful.checkpoint.doctor.values import Values

DISTRIBUTIONS = {"normal": (0.0, 24.0), "uniform": (-1.2, 1.318), "normal, cut at 2σ": (-0.6345, 3.848)}
"""What weights are drawn from at first: kurtosis, and n times the variance of the kurtosis of n draws."""
MAX_DEVIATIONS = 5.0
"""Standard errors that chance may explain: beyond these it does in less than one of a million matrices."""
CLEAR = 3 * MAX_DEVIATIONS
"""A matrix whose rows or columns are this far apart has been trained."""
MIN_VALUES = 256
"""Fewer tell nothing."""
WEIGHT, BIAS = ".weight", ".bias"


@dataclass(frozen=True)
class Suspicion:
    """A module that looks untrained."""

    name: str
    """Of the module; its tensors are ``name.weight`` and maybe ``name.bias``."""
    kind: str
    """What looks so."""


def suspicions(values: Mapping[str, Values], *, initializer_range: float | None = None) -> list[Suspicion]:
    """The modules that look untrained.

    Args:
        values: of all tensors by name.
        initializer_range: the standard deviation of fresh weights, where it is known; it is only told.
    """
    weights = {name.removesuffix(WEIGHT): it for name, it in values.items() if name.endswith(WEIGHT)}
    matrices = {module: it for module, it in weights.items() if len(it.shape) > 1}
    norms = {module: it for module, it in weights.items() if len(it.shape) == 1}
    judged = {module: it for module, it in matrices.items() if it.count >= MIN_VALUES}
    draws = [module for module, it in judged.items() if _is_drawn(it)]
    identities = [module for module, it in norms.items() if _is_identity(it, values.get(module + BIAS))]
    no_trace = bool(draws) and len(draws) == len(judged) and len(identities) == len(norms)
    others_trained = _most(_unevenness(it) > CLEAR for module, it in judged.items() if module not in draws)
    found = []
    for module, it in matrices.items():
        bias = values.get(module + BIAS)
        if it.constant and it.rows > 2:
            found.append(Suspicion(module, f"all values are {it.low:g}"))
        elif module in draws and (no_trace or others_trained if bias is None else _is_zero(bias)):
            found.append(Suspicion(module, _fresh(it, bias is not None, initializer_range)))
    if no_trace or _most(module not in identities for module in norms):
        found += [Suspicion(module, "a norm that is exactly the identity") for module in identities]
    return found


def _is_drawn(values: Values) -> bool:
    """Whether a matrix may be independent draws of one of the usual distributions."""
    if values.constant:
        return False
    kurtosis = min(
        abs(values.kurtosis - usual) / math.sqrt(variance / values.count) for usual, variance in DISTRIBUTIONS.values()
    )
    mean = abs(values.mean) / values.std * math.sqrt(values.count)
    return max(kurtosis, mean, _unevenness(values)) <= MAX_DEVIATIONS


def _unevenness(values: Values) -> float:
    """How many standard errors the sizes of rows, or of columns, are more or less apart than those of draws."""
    spreads = ((values.row_spread, values.rows), (values.column_spread, values.columns))
    return max(abs(spread - 1) / math.sqrt(2 / (number - 1)) for spread, number in spreads if number > 1)


def _is_zero(values: Values) -> bool:
    return values.low == values.high == 0


def _is_identity(weight: Values, bias: Values | None) -> bool:
    """Of norms that multiply by their weight, and of those that multiply by 1 + weight."""
    return weight.constant and weight.low in (0.0, 1.0) and (bias is None or _is_zero(bias))


def _fresh(values: Values, has_bias: bool, initializer_range: float | None) -> str:
    said = "values like independent draws"
    if initializer_range and abs(values.std / initializer_range - 1) <= 4 / math.sqrt(2 * values.count):
        said += f" of the config's initializer_range {initializer_range:g}"
    return said + (", and a bias of exactly zero" if has_bias else "")


def _most(marks: Iterable[bool]) -> bool:
    known = list(marks)
    return 2 * sum(known) > len(known)
