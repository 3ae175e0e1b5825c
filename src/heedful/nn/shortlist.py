"""Some tokens of a large vocabulary, which are all that is written."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from heedful.nn.embeddings import LanguageModelHead

UNLIKELY = 100.0
"""How far below the best listed token all others are, where they may still be copied: e⁻¹⁰⁰ is no chance."""


class Shortlist(nn.Module):
    """The rows of a vocabulary that hidden states are multiplied with; they are no part of a model's state."""

    tokens: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, tokens: Iterable[int]) -> None:
        """
        Args:
            weight: (V, E), of the head.
            bias: (V,).
            tokens: L of them.
        """
        super().__init__()
        self.size = len(weight)
        listed = torch.tensor(sorted(set(tokens)), device=weight.device)
        self.register_buffer("tokens", listed, persistent=False)
        self.register_buffer("weight", weight.detach()[listed], persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach()[listed], persistent=False)

    def forward(self, head: LanguageModelHead, hidden: Tensor, *, copied: bool = False) -> Tensor:
        """Hidden states (..., D) -> logits (..., V) of ``head``; those of tokens that are not listed are -inf.

        Args:
            copied: whether other tokens may be copied: their logits are numbers then, so that a mixture has some.
        """
        listed = head.among(hidden, self.weight, self.bias)
        others = listed.amax(-1, keepdim=True) - UNLIKELY if copied else listed.new_full((1,), -torch.inf)
        return others.expand(*listed.shape[:-1], self.size).index_copy(-1, self.tokens, listed)
