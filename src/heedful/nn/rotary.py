"""Rotary positions (Su et al. 2021) and the ways in which they are stretched for longer texts."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from heedful.nn.positions import frequencies


class Rotation(NamedTuple):
    """Cosines and sines that turn the heads of a batch: each (T, R/2) or (B, 1, T, R/2), R even and at most K."""

    cosines: Tensor
    sines: Tensor

    def apply(self, heads: Tensor) -> Tensor:
        """Turn queries or keys (B, H, T, K): column i with column i + R/2, i < R/2; columns from R on stay."""
        half = self.cosines.shape[-1]
        first, second, rest = heads[..., :half], heads[..., half : 2 * half], heads[..., 2 * half :]
        return torch.cat(
            [first * self.cosines - second * self.sines, second * self.cosines + first * self.sines, rest], dim=-1
        )


class RotaryScaling:
    """How rotary frequencies are changed for longer texts; this one leaves them as they are."""

    magnitude = 1.0
    """Of the turned heads."""

    def scale(self, frequencies: Tensor) -> Tensor:
        """Frequencies base^(-2i/R), (R/2,) -> scaled ones, (R/2,)."""
        return frequencies


class LinearScaling(RotaryScaling):
    """Positions divided by a factor (Chen et al. 2023, §2.3)."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def scale(self, frequencies: Tensor) -> Tensor:
        """As :meth:`RotaryScaling.scale`."""
        return frequencies / self.factor


class YarnScaling(RotaryScaling):
    """Slow frequencies are divided by a factor, fast ones stay, between them a ramp (Peng et al. 2023, §3.2, §3.4)."""

    def __init__(
        self,
        factor: float,
        *,
        base: float,
        original_max_positions: int,
        beta_fast: float = 32.0,
        beta_slow: float = 1.0,
        magnitude: float | None = None,
        truncate: bool = True,
    ) -> None:
        """
        Args:
            factor: s, new length over old.
            base: of the frequencies.
            original_max_positions: length of the first training, L.
            beta_fast: turns within L from which on a frequency stays.
            beta_slow: turns within L up to which a frequency is divided.
            magnitude: √t of the paper's equation 15, 0.1 ln s + 1 unless given.
            truncate: widen the ramp to whole columns.
        """
        self.factor = factor
        self.base = base
        self.original_max_positions = original_max_positions
        self.beta_fast = beta_fast
        self.beta_slow = beta_slow
        self.magnitude = (0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0) if magnitude is None else magnitude
        self.truncate = truncate

    def scale(self, frequencies: Tensor) -> Tensor:
        """As :meth:`RotaryScaling.scale`."""
        width = 2 * len(frequencies)

        def column(turns: float) -> float:
            return width * math.log(self.original_max_positions / (turns * 2 * math.pi)) / (2 * math.log(self.base))

        low, high = column(self.beta_fast), column(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, width - 1)
        columns = torch.arange(len(frequencies), device=frequencies.device, dtype=frequencies.dtype)
        divided = ((columns - low) / (high - low if high != low else 1e-3)).clamp(0, 1)
        return frequencies * (1 - divided) + frequencies / self.factor * divided


class Llama3Scaling(RotaryScaling):
    """Long waves are stretched by a factor, short ones stay, smoothly between (Grattafiori et al. 2024; Llama 3.1)."""

    def __init__(
        self, factor: float, *, low_frequency_factor: float, high_frequency_factor: float, original_max_positions: int
    ) -> None:
        """``original_max_positions`` over a factor is the wave length at which the ramp ends or begins."""
        self.factor = factor
        self.low_frequency_factor = low_frequency_factor
        self.high_frequency_factor = high_frequency_factor
        self.original_max_positions = original_max_positions

    def scale(self, frequencies: Tensor) -> Tensor:
        """As :meth:`RotaryScaling.scale`."""
        waves = self.original_max_positions * frequencies / (2 * math.pi)  # how many fit into the old length
        kept = (waves - self.low_frequency_factor) / (self.high_frequency_factor - self.low_frequency_factor)
        kept = kept.clamp(0, 1)
        return frequencies * kept + frequencies / self.factor * (1 - kept)


class RotaryPositions(nn.Module):
    """Rotary positions (Su et al. 2021, §3.2), pairs laid out in halves as GPT-NeoX and LLaMA have them."""

    def __init__(
        self,
        width: int,
        *,
        base: float = 10_000.0,
        scaling: RotaryScaling | None = None,
        max_positions: int | None = None,
    ) -> None:
        """
        Args:
            width: R, the columns of a head that are turned.
            scaling: of the frequencies, for texts longer than those of the first training.
            max_positions: the longest text, in tokens; unlimited unless given.
        """
        super().__init__()
        self.width = width
        self.base = base
        self.scaling = scaling or RotaryScaling()
        self.max_positions = max_positions

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        """Positions (T,) or (B, T) -> the rotation of that batch's heads."""
        rates = frequencies(self.width, self.base, self.width, device=positions.device, dtype=dtype)
        angles = positions[..., None] * self.scaling.scale(rates)
        if angles.dim() == 3:
            angles = angles[:, None]
        magnitude = self.scaling.magnitude
        return Rotation((angles.cos() * magnitude).to(dtype), (angles.sin() * magnitude).to(dtype))
