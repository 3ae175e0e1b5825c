"""Linear maps on 8-bit integers: a quarter of the memory, and products that many processors make faster.

A weight W (O, I) is a whole number in [-127, 127] times a scale for each output. Where inputs are rounded too, an x is
a whole number in [0, 255], less a zero point, times a scale; the product of the whole numbers is exact, so that what is
lost is lost by rounding W and x, once each. I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heedful.nn.feedforward import FeedForward
from heedful.nn.tracing import is_traced

LARGEST_WEIGHT = 127
LEVELS = 255
MIDDLE = 128
"""The zero point of an input that is rounded row by row."""
FUSED: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.GELU: "gelu", nn.SiLU: "swish", nn.Tanh: "tanh"}
"""What the kernel knows of activations, and what it calls them."""
BLOCK = 2**17
"""Weights that are fractions at a time: few enough for the cache of a processor, many enough for a call."""


@cache
def has_kernel() -> bool:
    """Whether this processor and this PyTorch have a fast and exact product of 8-bit integers.

    Without the instructions for it (VNNI or AMX), sums of two products are cut off at 16 bits.
    """
    cpu = torch.cpu
    knows = any(getattr(cpu, name, bool)() for name in ("_is_vnni_supported", "_is_amx_tile_supported"))
    return knows and hasattr(torch.ops.onednn, "qlinear_pointwise")


def multiplies_integers(x: Tensor) -> bool:
    """Whether the kernel takes what stands for ``x``; it does not where a network is only written down by a tracer."""
    return x.device.type == "cpu" and has_kernel() and not is_traced()


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16."""
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))


def whole_numbers(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of inputs from the lowest value to the highest; 0 is one of the whole numbers."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / LEVELS, torch.finfo(torch.float32).tiny)
    return scale, round(-low / scale)


class Int8Weights(nn.Module):
    """y = W x + b, where the weight alone is whole numbers: a quarter of its memory, and nearly its very answers."""

    weight: Tensor
    weight_scale: Tensor

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("weight_scale", torch.ones(out_features))
        self.bias = nn.Parameter(torch.zeros(out_features), requires_grad=False) if bias else None

    @classmethod
    def of(cls, linear: nn.Linear) -> Int8Weights:
        """A linear map, rounded."""
        made = cls(linear.in_features, linear.out_features, bias=linear.bias is not None)
        made._round(linear)
        return made

    @torch.no_grad()
    def _round(self, linear: nn.Linear) -> None:
        """Take the weight and the bias of a linear map."""
        weight, self.weight_scale = linear.weight.float(), self.scale_of(linear)
        whole = (weight / self.weight_scale[:, None]).round_()
        self.weight = whole.clamp_(-LARGEST_WEIGHT, LARGEST_WEIGHT).to(torch.int8)
        if linear.bias is not None:
            self.bias = nn.Parameter(linear.bias.detach().float().clone(), requires_grad=False)

    @staticmethod
    @torch.no_grad()
    def scale_of(linear: nn.Linear) -> Tensor:
        """(O,), of the weight of a map, by its largest value for each output."""
        return (linear.weight.float().abs().amax(1) / LARGEST_WEIGHT).clamp(min=torch.finfo(torch.float32).tiny)

    def rows(self, index: Tensor) -> Self:
        """The map to some of the outputs."""
        part = type(self)(self.in_features, len(index), bias=self.bias is not None)
        part.weight, part.weight_scale = self.weight[index], self.weight_scale[index]
        if self.bias is not None:
            part.bias = nn.Parameter(self.bias[index], requires_grad=False)
        return part

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        if is_traced():
            return self._by_fractions(x, self.bias)
        # In blocks: the weight as a whole is never there as fractions.
        blocks = torch.split(self.weight, max(1, BLOCK // self.in_features))
        product = torch.cat([F.linear(x, block.float()) for block in blocks], dim=-1)
        return product.mul_(self.weight_scale) if self.bias is None else self.bias.addcmul(product, self.weight_scale)

    def _by_fractions(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W x + bias in a form that compilers of networks know: their constants are the whole numbers."""
        return F.linear(x, self.weight.float() * self.weight_scale[:, None], bias)

    def extra_repr(self) -> str:
        """For people."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


class Int8Linear(Int8Weights):
    """y = W x + b on whole numbers.

    With ``calibrated``, inputs are rounded by a scale and a zero point that were chosen beforehand: the fastest.
    Otherwise each row has the scale of its own largest value, so that a text's answer does not depend on what stands
    beside it.
    """

    input_scale: Tensor | None
    input_zero_point: Tensor | None

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True, calibrated: bool = True) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.register_buffer("input_scale", torch.ones(()) if calibrated else None)
        self.register_buffer("input_zero_point", torch.zeros((), dtype=torch.int32) if calibrated else None)
        self._packed: tuple[Tensor, Tensor] | None = None
        self._span: tuple[float, int] | None = None

    @classmethod
    def of(cls, linear: nn.Linear, span: tuple[float, float] | None = None) -> Int8Linear:
        """A linear map, rounded.

        Args:
            span: lowest and highest value of its inputs, what lies outside is cut off; row by row unless given.
        """
        rounded = cls(
            linear.in_features, linear.out_features, bias=linear.bias is not None, calibrated=span is not None
        )
        rounded._round(linear)
        if span is not None:
            width, zero_point = whole_numbers(*span)
            rounded.input_scale = torch.tensor(width)
            rounded.input_zero_point = torch.tensor(zero_point, dtype=torch.int32)
        return rounded

    @classmethod
    def side_by_side(cls, maps: Sequence[Int8Linear]) -> Int8Linear:
        """Calibrated maps of the same inputs as one, whose outputs follow each other."""
        first = maps[0]
        assert first.input_scale is not None
        one = cls(first.in_features, sum(each.out_features for each in maps), bias=first.bias is not None)
        one.weight = torch.cat([each.weight for each in maps])
        one.weight_scale = torch.cat([each.weight_scale for each in maps])
        if first.bias is not None:
            biases = tuple(each.bias for each in maps if each.bias is not None)
            one.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
        one.input_scale, one.input_zero_point = first.input_scale, first.input_zero_point
        return one

    def rows(self, index: Tensor) -> Self:
        """As :meth:`Int8Weights.rows`."""
        part = super().rows(index)
        part.input_scale, part.input_zero_point = self.input_scale, self.input_zero_point
        return part

    @property
    def span(self) -> tuple[float, int] | None:
        """Scale and zero point of the inputs, where they were chosen beforehand."""
        if self.input_scale is None or self.input_zero_point is None:
            return None
        if self._span is None:
            self._span = float(self.input_scale), int(self.input_zero_point)
        return self._span

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        if self.span is None:
            return self._row_by_row(x)
        return self.product(self.rounded(x)) if multiplies_integers(x) else self._imitated(x, *self.span)

    def _row_by_row(self, x: Tensor) -> Tensor:
        scale = (x.abs().amax(-1, keepdim=True) / LARGEST_WEIGHT).clamp(min=torch.finfo(x.dtype).tiny)
        whole = (x / scale).round_()
        if multiplies_integers(x):
            product = self._multiply(whole.add_(MIDDLE).to(torch.uint8), 1.0, MIDDLE, bias=None)
        elif is_traced():
            product = self._by_fractions(whole, bias=None)
        else:  # the scale last: sums of whole numbers do not depend on their order
            product = whole @ self.weight.float().T * self.weight_scale
        product = product.mul_(scale)
        return product if self.bias is None else product.add_(self.bias)

    def _imitated(self, x: Tensor, scale: float, zero_point: int) -> Tensor:
        """What the whole numbers give, by fractions that stand for them: compilers of networks know this form."""
        return self._by_fractions(torch.fake_quantize_per_tensor_affine(x, scale, zero_point, 0, LEVELS), self.bias)

    def rounded(self, x: Tensor) -> Tensor:
        """(..., I) -> whole numbers (..., I) uint8, by what was chosen beforehand."""
        assert self.span is not None
        scale, zero_point = self.span
        return (x * (1 / scale)).round_().add_(zero_point).clamp_(0, LEVELS).to(torch.uint8)

    def product(self, whole: Tensor, activation: nn.Module | None = None, reader: Int8Linear | None = None) -> Tensor:
        """(..., I) uint8 -> (..., O), where :func:`multiplies_integers`.

        Args:
            activation: of the sums, one of :data:`FUSED`.
            reader: rounds what comes out for another map that was calibrated: uint8.
        """
        assert self.span is not None
        return self._multiply(whole, *self.span, bias=self.bias, activation=activation, reader=reader)

    def _multiply(
        self,
        whole: Tensor,
        scale: float,
        zero_point: int,
        *,
        bias: Tensor | None,
        activation: nn.Module | None = None,
        reader: Int8Linear | None = None,
    ) -> Tensor:
        packed, zeros = self._pack()
        into = (1.0, 0) if reader is None or reader.span is None else reader.span
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole.reshape(-1, self.in_features),
            scale,
            zero_point,
            packed,
            self.weight_scale,
            zeros,
            bias,
            *into,
            torch.float32 if reader is None else torch.uint8,
            "none" if activation is None else FUSED[type(activation)],
            [],
            getattr(activation, "approximate", ""),
        )
        return product.view(*whole.shape[:-1], self.out_features)

    def _pack(self) -> tuple[Tensor, Tensor]:
        """The weight as the kernel wants it, and its zero points."""
        if self._packed is None:
            packed = torch.ops.onednn.qlinear_prepack(self.weight, None)
            self._packed = packed, torch.zeros(self.out_features, dtype=torch.int64)
        return self._packed

    def extra_repr(self) -> str:
        """For people."""
        return f"{super().extra_repr()}, {'row by row' if self.input_scale is None else 'calibrated'}"


class Int8FeedForward(nn.Module):
    """down(activation(up(x))) of calibrated maps: what lies between them is whole numbers too."""

    def __init__(self, up: Int8Linear, activation: nn.Module, down: Int8Linear) -> None:
        super().__init__()
        self.up = up
        self.activation = activation
        self.down = down

    @classmethod
    def of(cls, network: FeedForward) -> nn.Module:
        """A feed-forward network whose maps are such, or the network itself where they cannot be joined."""
        up: nn.Module = network.up
        down: nn.Module = network.down
        if not isinstance(up, Int8Linear) or not isinstance(down, Int8Linear) or network.gate is not None:
            return network
        joinable = None not in (up.span, down.span) and type(network.activation) in FUSED
        return cls(up, network.activation, down) if joinable else network

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if not multiplies_integers(x):
            output: Tensor = self.down(self.activation(self.up(x)))
            return output
        return self.down.product(self.up.product(self.up.rounded(x), self.activation, self.down))


def is_rounded(network: nn.Module) -> bool:
    """Whether a network has such maps: it can answer, and neither be learnt from nor kept."""
    return any(isinstance(module, Int8Weights) for module in network.modules())
