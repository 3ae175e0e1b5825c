"""Spans are those that lose least, and what was seen is what went through."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from heedful.inference import Inputs, observing
from heedful.nn.int8 import Int8Linear


def seen(*batches: Tensor) -> Inputs:
    inputs = Inputs()
    for batch in batches:
        inputs.see(batch)
    return inputs


def error(values: Tensor, span: tuple[float, float]) -> float:
    """Mean square of what a map that gives its inputs back loses."""
    identity = nn.Linear(values.shape[-1], values.shape[-1], bias=False)
    with torch.no_grad():
        identity.weight.copy_(torch.eye(values.shape[-1]))
        return float((Int8Linear.of(identity, span)(values) - values).square().mean())


def test_values_that_fill_their_span_keep_it() -> None:
    values = torch.linspace(-2, 6, 64 * 8).reshape(64, 8)
    assert seen(values).span() == pytest.approx((-2.0, 6.0))


def test_a_few_large_values_are_cut_off_where_that_loses_less() -> None:
    torch.manual_seed(0)
    values = torch.randn(64, 256)
    values[0, 0] = 9.0
    inputs = seen(values)
    low, high = inputs.span()
    assert high < 9.0
    assert error(values, (low, high)) < error(values, (inputs.low, inputs.high))


def test_low_and_high_are_of_all_rows_and_rows_of_every_call() -> None:
    inputs = seen(torch.zeros(500, 3), torch.full((2, 4, 3), 2.0), torch.full((1, 3), -1.0), torch.empty(0, 3))
    assert (inputs.low, inputs.high) == (-1.0, 2.0)
    assert [len(rows) for rows in inputs.rows] == [64, 8, 1]


def test_nothing_but_zeros_is_no_fault() -> None:
    assert seen(torch.zeros(4, 3)).span() == (0.0, 0.0)
    assert seen(torch.zeros(4, 3)).error(nn.Linear(3, 2, bias=False), Int8Linear(3, 2, bias=False)) == 0.0


def test_the_error_is_that_of_the_outputs() -> None:
    torch.manual_seed(0)
    linear, inputs = nn.Linear(8, 5), seen(torch.randn(32, 8))
    fine, coarse = Int8Linear.of(linear, inputs.span()), Int8Linear.of(linear, (-40.0, 40.0))
    assert 0 < inputs.error(linear, fine) < 0.02 < inputs.error(linear, coarse)


def test_maps_are_watched_while_the_block_runs_and_no_longer() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    maps = {"first": network[0], "last": network[2]}
    with observing(maps) as inputs:  # type: ignore[arg-type]
        network(torch.ones(2, 3))
    network(torch.full((2, 3), 99.0))
    assert inputs["first"].high == 1.0
    assert torch.equal(inputs["last"].rows[0], network[1](network[0](torch.ones(2, 3))).detach())
    with pytest.raises(ZeroDivisionError), observing(maps):  # type: ignore[arg-type]
        raise ZeroDivisionError
    assert not network[0]._forward_pre_hooks
