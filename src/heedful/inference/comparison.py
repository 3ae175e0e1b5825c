"""How far what another engine computes is from what the network itself computes."""

from __future__ import annotations

from torch import Tensor


def apart(found: Tensor, expected: Tensor) -> float:
    """The size of the difference relative to that of what is expected, by the norm; no number where one is none."""
    return float((found - expected).norm() / expected.norm().clamp(min=1e-6))
