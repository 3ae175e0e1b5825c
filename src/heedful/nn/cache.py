"""Keys and values of what a decoder has read, so that each step computes the new tokens only.

Memory is set aside once and written in place, so a cache is for inference: it keeps no gradients. It belongs
to one batch and one encoder output.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from heedful.errors import InputTooLongError

Blocks = Tensor | tuple[Tensor, ...]
"""Keys or values, (B, G, S, K), or several of them in a row whose S add up."""


class LayerCache:
    """Keys and values of one layer: its own past, and the encoder's output once it has been projected."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        """``keys`` and ``values``: (B, key/value heads, max_length, K), to be filled from the front."""
        self.keys = keys
        self.values = values
        self.length = 0
        self.memory: tuple[Tensor, Tensor] | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Blocks, Blocks]:
        """Add (B, key/value heads, T, K) and return all so far, without a copy."""
        start, self.length = self.length, self.length + keys.shape[2]
        self.keys[:, :, start : self.length] = keys
        self.values[:, :, start : self.length] = values
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class KeyValueCache:
    """One ``LayerCache`` a layer, and which of the positions read so far are real tokens."""

    def __init__(
        self,
        head_shapes: Sequence[tuple[int, int]],
        *,
        batch_size: int,
        max_length: int,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        """``head_shapes``: (key/value heads, K) of each layer's self-attention; (0, 0) where it has none."""
        self.batch_size = batch_size
        self.max_length = max_length
        self.length = 0
        self.layers = [
            LayerCache(*torch.empty(2, batch_size, heads, max_length, width, dtype=dtype, device=device))
            for heads, width in head_shapes
        ]
        self._mask: Tensor | None = None

    def extend(self, length: int, mask: Tensor | None) -> Tensor | None:
        """Make room for ``length`` new positions.

        Args:
            length: T.
            mask: (B, T) boolean, True at real tokens; None where all are.

        Returns:
            The mask of all positions so far, (B, S), or None where all are real.

        Raises:
            InputTooLongError: the cache is full.
        """
        start, end = self.length, self.length + length
        if end > self.max_length:
            raise InputTooLongError(
                f"the cache holds {self.max_length} tokens: {start} are taken, {length} more were given",
                remedy="Make a cache with a larger max_length.",
            )
        self.length = end
        if mask is not None and self._mask is None:
            self._mask = torch.ones(self.batch_size, self.max_length, dtype=torch.bool, device=mask.device)
        if self._mask is None:
            return None
        self._mask[:, start:end] = True if mask is None else mask
        return self._mask[:, :end]
