"""The position-wise feed-forward network (Vaswani et al. 2017, §3.3), gated or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from heedful.nn.dropout import Dropout

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class FeedForward(nn.Module):
    """down(activation(up(x))), or gated: down(activation(gate(x)) · up(x)) (Shazeer 2020)."""

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: nn.Module,
        gated: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        """``dropout`` is of the inner states."""
        super().__init__()
        self.gate = nn.Linear(d_model, d_ff, bias=bias) if gated else None
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.activation = activation
        self.dropout = Dropout(dropout)
        self.down = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), through width F."""
        up = self.up(x)
        inner = self.activation(up) if self.gate is None else self.activation(self.gate(x)) * up
        output: Tensor = self.down(self.dropout(inner))
        return output
