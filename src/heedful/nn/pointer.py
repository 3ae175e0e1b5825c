"""Copying: a token is written from the vocabulary, or pointed at in the source (See et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CopySource(NamedTuple):
    """What there is to copy of B texts of S tokens."""

    keys: Tensor
    """(B, S, K), what a pointer looks for."""
    ids: Tensor
    """(B, S) int64, in the vocabulary that is written."""
    first: Tensor
    """(B, S) int64, where the same token stands first among the real ones of its text; 0 if it is none of them."""
    mask: Tensor
    """(B, S) boolean, True at real tokens."""

    def map(self, change: Callable[[Tensor], Tensor]) -> CopySource:
        """The same change to each tensor."""
        return CopySource(*map(change, self))


class Copies(NamedTuple):
    """Which tokens of the source each of T tokens may be a copy of."""

    weights: Tensor
    """(..., T, S): the probability of each token of the source, given that one is copied. All of what goes to a token
    that the source has several times stands at the first of them, and 0 at the others and at padding."""
    gate: Tensor
    """(..., T, 1): the logit of not copying."""
    ids: Tensor
    """(..., T, S) int64, the tokens of the source."""


class Pointer(nn.Module):
    """An attention head over the encoder's output whose weights are probabilities, and a gate.

    What the decoder ends with is the query, and the gate's input: in a Transformer it has looked at the source already,
    so that the gate needs no context vector beside it (See et al. 2017, equation 8; Gehrmann et al. 2018, section 4.2,
    with a head of its own in place of one of the last layer's).
    """

    def __init__(self, d_model: int, head_dim: int) -> None:
        """``head_dim`` is K, of queries and keys."""
        super().__init__()
        self.query = nn.Linear(d_model, head_dim)
        self.key = nn.Linear(d_model, head_dim, bias=False)
        self.gate = nn.Linear(d_model, 1)

    def read(self, ids: Tensor, memory: Tensor, mask: Tensor | None = None) -> CopySource:
        """Prepare texts to be copied from.

        Args:
            ids: (B, S) int64, what the encoder read.
            memory: (B, S, D), what it made of it.
            mask: (B, S) boolean, True at real tokens; all are unless given.
        """
        mask = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        return CopySource(self.key(memory), ids, _first_places(ids, mask), mask)

    def forward(self, hidden: Tensor, source: CopySource) -> Copies:
        """Hidden states (B, T, D) of the decoder and their sources -> what they may copy."""
        scores = self.query(hidden) @ source.keys.transpose(-2, -1) * source.keys.shape[-1] ** -0.5
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        scores = scores.masked_fill(~source.mask[:, None, :], torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1).masked_fill(~source.mask[:, None, :], 0.0)
        gathered = torch.zeros_like(weights).scatter_add(-1, source.first[:, None, :].expand_as(weights), weights)
        return Copies(gathered, self.gate(hidden).to(weights.dtype), source.ids[:, None, :].expand_as(weights))


def _first_places(ids: Tensor, mask: Tensor) -> Tensor:
    """``CopySource.first`` of ids and mask, in O(S log S): sorted, the same tokens stand in a row, real ones ahead."""
    sorted_ids, order = torch.sort(2 * ids + ~mask, stable=True)
    sorted_ids = sorted_ids >> 1
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    begins = F.pad(sorted_ids[:, 1:] != sorted_ids[:, :-1], (1, 0))
    rows = places.where(begins, 0).cummax(-1).values
    first = order.where(mask.gather(-1, order), 0).gather(-1, rows)
    return torch.empty_like(ids).scatter_(-1, order, first)


def mixture(logits: Tensor, copies: Copies) -> Tensor:
    """Log-probabilities of writing each token, in one way or the other; they are logits too.

    log p(w) = log(g · softmax(logits)_w + (1 - g) · a_w), with g = sigmoid(gate) and a_w the weight of w in the source
    (See et al. 2017, equation 9), computed from logarithms: only what stands in the source differs from
    log g + log softmax(logits)_w, by log(1 + (1 - g) a_w / (g softmax(logits)_w)).

    Args:
        logits: (..., V) over the vocabulary.
        copies: of tensors (..., S).

    Returns:
        (..., V), in float32 at least.
    """
    generated = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    shares = copies.weights.clamp_min(torch.finfo(copies.weights.dtype).tiny).log()
    ratios = shares - copies.gate - generated.gather(-1, copies.ids)
    gains = torch.logaddexp(ratios, torch.zeros_like(ratios)).where(copies.weights > 0, 0.0)
    return (generated + F.logsigmoid(copies.gate)).scatter_add(-1, copies.ids, gains)
