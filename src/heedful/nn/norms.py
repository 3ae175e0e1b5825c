"""Norms beyond PyTorch's own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class UnitOffsetRMSNorm(nn.RMSNorm):
    """RMSNorm whose weight is stored less one, so that a fresh one is zero: x / rms(x) · (1 + weight) (Gemma)."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return F.rms_norm(x, self.normalized_shape, 1 + self.weight, self.eps)

    def reset_parameters(self) -> None:
        """The identity's scale."""
        nn.init.zeros_(self.weight)
