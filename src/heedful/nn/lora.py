"""Low-rank adaptation: a linear map that learns a small change of itself (Hu et al. 2021, LoRA)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heedful.nn.dropout import Dropout


class LoraLinear(nn.Module):
    """y = base(x) + α / R · up(down(dropout(x))), the base frozen (Hu et al. 2021, equation 3).

    Legend: I inputs, O outputs, R rank. ``down`` (R, I) starts Gaussian and ``up`` (O, R) at zero, so that a fresh
    adapter changes nothing (section 4.1).

    In a ``state_dict`` it stands as the linear map that it amounts to: ``weight`` W + α / R · up · down (O, I), and
    ``bias`` (O). Whatever saves the model therefore saves a plain one.
    """

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        *,
        alpha: float,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.rank = rank
        self.alpha = alpha
        self.dropout = Dropout(dropout)
        like = base.weight
        start = torch.randn(rank, base.in_features, generator=generator).to(like) * base.in_features**-0.5
        self.down = nn.Parameter(start)
        self.up = nn.Parameter(like.new_zeros(base.out_features, rank))
        self.register_state_dict_post_hook(_merge)  # type: ignore[no-untyped-call]

    @property
    def scale(self) -> float:
        """α / R."""
        return self.alpha / self.rank

    def delta(self) -> Tensor:
        """What the adapter adds to the weight: (O, I)."""
        return self.up @ self.down * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        added = F.linear(F.linear(self.dropout(x), self.down), self.up)
        output: Tensor = self.base(x) + added * self.scale
        return output


def lora_layers(module: nn.Module) -> dict[str, LoraLinear]:
    """The adapted maps in ``module`` by their names."""
    return {name: part for name, part in module.named_modules() if isinstance(part, LoraLinear)}


def _merge(module: nn.Module, state: dict[str, Any], prefix: str, _metadata: object) -> None:
    assert isinstance(module, LoraLinear), "the hook is registered by LoraLinear alone"
    for name in ("down", "up"):
        del state[prefix + name]
    for name in ("weight", "bias"):
        if (stored := state.pop(f"{prefix}base.{name}", None)) is not None:
            state[prefix + name] = stored
    with torch.no_grad():
        state[f"{prefix}weight"] = module.base.weight + module.delta()
