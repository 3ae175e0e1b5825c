"""What attentions do, seen from outside: the model computes what it computes, bit for bit.

B rows, T queries, S keys, H heads, G key/value heads, K head width, D model width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from heedful.nn.attention import Attention, AttentionKernel, each_head
from heedful.nn.masks import AttentionMask


class Look(NamedTuple):
    """What an attention gave to its kernel, from which all that it did follows."""

    attention: Attention
    query: Tensor
    """(B, H, T, K)."""
    keys: Tensor
    """(B, G, S, K)."""
    values: Tensor
    """(B, G, S, K)."""
    mask: AttentionMask

    def weights(self, heads: Sequence[int] | None = None) -> Tensor:
        """How much each query looks at each key: (B, H, T, S), or of some heads alone.

        The kernel that does the work is run once more with the identity for values: what it mixes then are the weights
        themselves, whatever kernel it is.
        """
        query, keys, mask = self.query, self.keys, self.mask
        if heads is not None:
            chosen = list(heads)
            query, keys = query[:, chosen], each_head(keys, query.shape[1])[:, chosen]
            if mask.scores is not None and mask.scores.shape[1] > 1:
                mask = mask._replace(scores=mask.scores[:, chosen])
        columns = keys.shape[2]
        identity = torch.eye(columns, dtype=keys.dtype, device=keys.device)
        return self.attention.kernel.forward(query, keys, identity.expand(*keys.shape[:2], columns, columns), mask)

    def vectors(self, heads: Sequence[int] | None = None) -> Tensor:
        """What each head makes of each key before it is weighed: (B, H, S, D), or of some heads alone.

        (x W_V + b_V) W_O of Kobayashi et al. 2020, equation 3: times the weights and summed over heads and keys, with
        the output's bias, it is the attention's output.
        """
        values = each_head(self.values, self.query.shape[1])
        weight = output_weight(self.attention)
        if heads is not None:
            values, weight = values[:, list(heads)], weight[list(heads)]
        return values @ weight.to(values.dtype)

    def output(self) -> Tensor:
        """What the attention gave: (B, T, D)."""
        mixed = self.attention.kernel.forward(self.query, self.keys, self.values, self.mask)
        output: Tensor = self.attention.output.forward(mixed.transpose(1, 2).flatten(2))
        return output


def output_weight(attention: Attention) -> Tensor:
    """W_O head by head, (H, K, D), that of an adapted map with its adapter."""
    weight: Tensor = attention.output.state_dict()["weight"]
    return weight.T.reshape(attention.num_heads, attention.head_dim, -1)


@contextmanager
def watching(attentions: Iterable[Attention], see: Callable[[Look], None]) -> Iterator[None]:
    """Inside, ``see`` is called with what each of ``attentions`` looks at, each time it does."""

    def watch(attention: Attention, _: AttentionKernel, inputs: tuple[Tensor, Tensor, Tensor, AttentionMask]) -> None:
        see(Look(attention, *inputs))

    with ExitStack() as hooks:
        for attention in dict.fromkeys(attentions):
            hooks.callback(attention.kernel.register_forward_pre_hook(partial(watch, attention)).remove)
        yield
