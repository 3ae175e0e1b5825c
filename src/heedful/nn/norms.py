"""Norms beyond PyTorch's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UnitOffsetRMSNorm(nn.RMSNorm):
    """RMSNorm whose weight is stored less one, so that a fresh one is zero: x / rms(x) · (1 + weight) (Gemma).

    Near one, half precision has fewer digits than near zero: the sum is made in float32 at least.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        precise = torch.promote_types(x.dtype, torch.float32)
        return F.rms_norm(x.to(precise), self.normalized_shape, 1 + self.weight.to(precise), self.eps).to(x.dtype)

    def reset_parameters(self) -> None:
        """The identity's scale."""
        nn.init.zeros_(self.weight)
