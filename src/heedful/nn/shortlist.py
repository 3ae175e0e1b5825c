"""Some tokens of a large vocabulary, which are all that is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from heedful.nn.embeddings import LanguageModelHead
from heedful.nn.int8 import Int8Weights

UNLIKELY = 100.0
"""How far below the best listed token all others are, where they may still be copied: e⁻¹⁰⁰ is no chance."""


class Shortlist(nn.Module):
    """The rows of a vocabulary that hidden states are multiplied with."""

    tokens: Tensor
    product: nn.Module
    """(..., E) -> (..., L), in the place of the head's own."""

    def __init__(self, head: LanguageModelHead, token_table: Tensor, tokens: Iterable[int]) -> None:
        """
        Args:
            token_table: (V, E), of the model.
            tokens: L of them.
        """
        super().__init__()
        self.size = len(token_table)
        self.register_buffer("tokens", torch.tensor(sorted(set(tokens)), device=token_table.device))
        self.product = _rows(head.product or head.linear(token_table), self.tokens)
        self.register_state_dict_post_hook(_keep_nothing)  # type: ignore[no-untyped-call]

    def forward(self, listed: Tensor, *, copied: bool = False) -> Tensor:
        """Logits (..., L) of the listed tokens -> (..., V); those of all others are -inf.

        Args:
            copied: whether others may be copied: their logits are numbers then, so that a mixture has some.
        """
        others = listed.amax(-1, keepdim=True) - UNLIKELY if copied else listed.new_full((1,), -torch.inf)
        return others.expand(*listed.shape[:-1], self.size).index_copy(-1, self.tokens, listed)


def _keep_nothing(_: nn.Module, state: dict[str, Any], prefix: str, __: Any) -> None:
    """A shortlist is made of a model, and is no part of what is kept of it."""
    for name in [name for name in state if name.startswith(prefix)]:
        del state[name]


def _rows(product: nn.Module, index: Tensor) -> nn.Module:
    """A linear map (..., E) -> (..., V), to L of its outputs only."""
    if isinstance(product, Int8Weights):
        return product.rows(index)
    assert isinstance(product, nn.Linear)
    part = nn.Linear(product.in_features, len(index), bias=product.bias is not None, device="meta")
    for name, values in product.named_parameters():
        setattr(part, name, nn.Parameter(values.detach()[index], requires_grad=False))
    return part
