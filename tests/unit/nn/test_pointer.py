"""Copying: what is written is a mixture of two distributions, computed without ever leaving logarithms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.gradcheck import gradcheck

from heedful.nn import Copies, CopySource, Pointer, mixture

B, T, S, D, K, V = 3, 4, 6, 5, 7, 9
EXACT = 1e-13  # measured: 4e-16

sources = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=S), min_size=1, max_size=4)


def pointer() -> Pointer:
    torch.manual_seed(0)
    return Pointer(D, K).double()


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids (B, S) and mask; padding bears a token of the vocabulary."""
    ids = torch.tensor([row + [0] * (S - len(row)) for row in rows])
    return ids, torch.arange(S) < torch.tensor([[len(row)] for row in rows])


def states(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """What the decoder ends with, what the encoder ends with, and logits."""
    generator = torch.Generator().manual_seed(1)
    return (
        3 * torch.randn(rows, T, D, dtype=torch.float64, generator=generator),
        3 * torch.randn(rows, S, D, dtype=torch.float64, generator=generator),
        3 * torch.randn(rows, T, V, dtype=torch.float64, generator=generator),
    )


def written_out(part: Pointer, hidden: Tensor, memory: Tensor, logits: Tensor, rows: list[list[int]]) -> Tensor:
    """p(w) = g · softmax(logits)_w + (1 - g) Σ_{s: x_s = w} a_s, token by token (See et al. 2017, equation 9)."""
    probabilities = torch.zeros(len(rows), T, V, dtype=torch.float64)
    for row, tokens in enumerate(rows):
        keys = part.key(memory[row, : len(tokens)])
        for place in range(T):
            state = hidden[row, place]
            attention = torch.softmax(keys @ part.query(state) / K**0.5, 0)
            share = torch.sigmoid(part.gate(state))[0]
            probabilities[row, place] = share * logits[row, place].softmax(0)
            for token, weight in zip(tokens, attention, strict=True):
                probabilities[row, place, token] += (1 - share) * weight
    return probabilities


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=sources)
def test_it_is_the_mixture_that_the_paper_writes(rows: list[list[int]]) -> None:
    part, (hidden, memory, logits) = pointer(), states(len(rows))
    ids, mask = padded(rows)
    with torch.no_grad():
        mixed = mixture(logits, part(hidden, part.read(ids, memory, mask)))
        expected = written_out(part, hidden, memory, logits, rows)
    assert float((mixed.exp() - expected).abs().max()) <= EXACT
    assert float((mixed.exp().sum(-1) - 1).abs().max()) <= EXACT


@settings(max_examples=20, deadline=None, derandomize=True)
@given(rows=sources)
def test_padding_and_batching_change_nothing(rows: list[list[int]]) -> None:
    part, (hidden, memory, logits) = pointer(), states(len(rows))
    ids, mask = padded(rows)
    with torch.no_grad():
        together = mixture(logits, part(hidden, part.read(ids, memory, mask)))
        for row, tokens in enumerate(rows):
            own = slice(row, row + 1)
            source = part.read(torch.tensor([tokens]), memory[own, : len(tokens)])
            alone = mixture(logits[own], part(hidden[own], source))
            assert float((alone - together[own]).abs().max()) <= EXACT


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=9, max_size=9), min_size=1, max_size=4)
)
def test_a_token_is_found_where_it_stands_first(rows: list[list[tuple[int, bool]]]) -> None:
    """As comparing every token with every other one finds it, whatever is padding."""
    ids, mask = (torch.tensor(rows)[:, :, part] for part in (0, 1))
    same = (ids[:, :, None] == ids[:, None, :]) & mask.bool()[:, None, :]
    source = pointer().read(ids, torch.zeros(*ids.shape, D, dtype=torch.float64), mask.bool())
    assert torch.equal(source.first, same.to(torch.uint8).argmax(-1))


def test_gradients_are_right() -> None:
    """A token that stands twice, padding, and one that both ways can write."""
    part = pointer()
    ids, mask = padded([[1, 2, 1], [3, 3, 3, 4, 5, 0]])
    hidden, memory, logits = (tensor.requires_grad_() for tensor in states(2))

    def mixed(hidden: Tensor, memory: Tensor, logits: Tensor, *_: Tensor) -> Tensor:
        return mixture(logits, part(hidden, part.read(ids, memory, mask)))

    assert gradcheck(mixed, (hidden, memory, logits, *part.parameters()))


@pytest.mark.parametrize("gate", [-100.0, -10.0, 0.0, 10.0, 100.0])
@pytest.mark.parametrize("spread", [1.0, 1e3])
def test_extremes_stay_finite_in_float32(gate: float, spread: float) -> None:
    """A gate that is shut, a vocabulary and an attention that are all but certain: no value or gradient is lost."""
    logits = (torch.arange(V, dtype=torch.float32) * spread).requires_grad_()
    scores = (torch.arange(3, dtype=torch.float32) * spread).requires_grad_()
    opening = torch.tensor([gate], requires_grad=True)
    mixed = mixture(logits, Copies(scores.softmax(0), opening, torch.tensor([0, 4, 8])))
    assert mixed.isfinite().all()
    assert float(mixed.detach().exp().sum()) == pytest.approx(1, abs=1e-5)  # measured: 4e-6
    mixed.sum().backward()  # type: ignore[no-untyped-call]
    for leaf in (logits, scores, opening):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


def test_half_precision_is_mixed_in_single() -> None:
    part, (hidden, memory, logits) = pointer().bfloat16(), (tensor.bfloat16() for tensor in states(2))
    source = part.read(*padded_memory(memory))
    mixed = mixture(logits, part(hidden, source))
    assert mixed.dtype == torch.float32
    assert float((mixed.detach().exp().sum(-1) - 1).abs().max()) <= 1e-5


def padded_memory(memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    ids, mask = padded([[1, 2, 1], [3, 3]])
    return ids, memory, mask


def test_a_slot_without_a_text_harms_nobody() -> None:
    """All padding: nothing is copied, and nothing is not a number."""
    part, (hidden, memory, logits) = pointer(), states(1)
    ids = torch.zeros(1, S, dtype=torch.int64)
    source = part.read(ids, memory, torch.zeros_like(ids, dtype=torch.bool))
    copies = part(hidden, source)
    assert torch.equal(copies.weights, torch.zeros(1, T, S, dtype=torch.float64))
    assert mixture(logits, copies).isfinite().all()


def test_a_source_is_changed_part_by_part() -> None:
    source = pointer().read(*padded_memory(states(2)[1]))
    narrow = source.map(lambda part: part[:, :2])
    assert isinstance(narrow, CopySource)
    assert [tuple(part.shape) for part in narrow] == [(2, 2, K), (2, 2), (2, 2), (2, 2)]
    assert source.first.tolist()[0][:3] == [0, 1, 0]
