"""Token vectors are scaled, placed and typed; the output layer may share the token table."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from heedful.nn import Embeddings, LanguageModelHead, LearnedPositions, OutputTransform, SoftCap


@pytest.fixture
def tokens() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, 4)


def test_what_is_not_asked_for_changes_nothing(tokens: Tensor) -> None:
    assert torch.equal(Embeddings(4)(tokens, torch.arange(3)), tokens)


def test_scale_positions_and_types_are_added(tokens: Tensor) -> None:
    positions = LearnedPositions(9, 4)
    module = Embeddings(4, scaled=True, positions=positions, num_token_types=2)
    assert module.token_types is not None
    numbers, types = torch.tensor([[0, 1, 2], [5, 6, 7]]), torch.tensor([[0, 0, 1], [1, 1, 1]])
    expected = 2 * tokens + positions.table.weight[numbers]
    typed = module.token_types.weight[types]
    assert torch.equal(module(tokens, numbers, types), expected + typed)
    assert torch.equal(module(tokens, numbers), module(tokens, numbers, torch.zeros_like(types)))


@pytest.mark.parametrize("width", [2, 4, 7])
def test_token_vectors_of_a_width_of_their_own_are_mapped_last(width: int) -> None:
    tokens, positions = torch.randn(2, 3, width), LearnedPositions(9, width)
    module = Embeddings(4, positions=positions, num_token_types=2, norm=nn.LayerNorm(width), width=width)
    assert isinstance(module.projection, nn.Linear) and module.token_types is not None
    summed = tokens + positions.table.weight[:3] + module.token_types.weight[0]
    assert torch.equal(module(tokens, torch.arange(3)), module.projection(module.norm(summed)))


def test_dropout_acts_in_training_only(tokens: Tensor) -> None:
    module = Embeddings(4, dropout=0.999999)
    assert not module.train()(tokens, torch.arange(3)).any()
    assert torch.equal(module.eval()(tokens, torch.arange(3)), tokens)


@pytest.mark.parametrize("bias", [False, True], ids=["without bias", "with bias"])
@pytest.mark.parametrize("tied", [False, True], ids=["own weight", "tied"])
def test_output_is_linear_in_its_own_or_the_shared_table(tokens: Tensor, tied: bool, bias: bool) -> None:
    head, table = LanguageModelHead(4, 7, tied=tied, bias=bias), torch.randn(7, 4)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    assert set(head.state_dict()) == {name for name, there in (("weight", not tied), ("bias", bias)) if there}
    weight = table if head.weight is None else head.weight
    expected = tokens @ weight.T + (0 if head.bias is None else head.bias)
    assert (head(tokens, table) - expected).abs().max() < 1e-6


def test_output_may_scale_hidden_states(tokens: Tensor) -> None:
    table = torch.randn(7, 4)
    plain, scaled = LanguageModelHead(4, 7, tied=True), LanguageModelHead(4, 7, tied=True, scale=0.5)
    assert torch.equal(scaled(tokens, table), plain(tokens, table) / 2)


@pytest.mark.parametrize("bias", [False, True], ids=["without bias", "with bias"])
def test_output_may_be_transformed_before(tokens: Tensor, bias: bool) -> None:
    transform = OutputTransform(4, 5, activation=nn.Tanh(), norm=nn.LayerNorm(5), bias=bias)
    assert (transform.dense.bias is not None) is bias
    table = torch.randn(7, 5)
    head = LanguageModelHead(5, 7, tied=True, transform=transform)
    expected = transform.norm(torch.tanh(transform.dense(tokens))) @ table.T
    assert (head(tokens, table) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("tied", [False, True], ids=["own weight", "tied"])
def test_a_map_may_take_the_place_of_weight_and_bias(tokens: Tensor, tied: bool) -> None:
    table = nn.Parameter(torch.randn(7, 5))
    transform = OutputTransform(4, 5, activation=nn.Tanh(), norm=nn.LayerNorm(5))
    head = LanguageModelHead(5, 7, tied=tied, bias=True, transform=transform, scale=0.5, soft_cap=2.0)
    for parameter in (head.weight, head.bias):
        if parameter is not None:
            nn.init.normal_(parameter)
    before, linear = head(tokens, table), head.linear(table)
    assert linear.weight is (table if tied else head.weight)
    assert linear.bias is head.bias
    head.product = linear
    assert torch.equal(head(tokens, table), before)
    head.product = nn.Linear(5, 3)
    assert torch.equal(head(tokens, table), SoftCap(2.0)(head.product(transform(tokens) * 0.5)))
