"""Weights that are kept as integers give what the weights that they stand for give, in every family."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.parity.families.cases import CASES
from tests.parity.families.engines import TOLERANCE, check_logits, classifier, one_of_each
from tests.parity.families.harness import Case, load, texts
from torch import nn

from heedful.inference import join, linear_maps, put
from heedful.model import Transformer
from heedful.nn.int8 import Int8Weights


def with_maps(network: nn.Module, change: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    """A copy whose linear maps are others."""
    changed = copy.deepcopy(network)
    maps = {name: change(each) for name, each in linear_maps(changed).items()}
    assert len(maps) > 3
    put(changed, maps)
    join(changed)
    return changed


def in_fractions(linear: nn.Linear) -> nn.Linear:
    """A map with the weight that its integers stand for."""
    whole, made = Int8Weights.of(linear), copy.deepcopy(linear)
    made.weight = nn.Parameter(whole.weight * whole.weight_scale[:, None])
    return made


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_a_classifier_reads_by_them(case: Case, tmp_path: Path) -> None:
    network, batches = classifier(case, tmp_path)
    expected, rounded = with_maps(network, in_fractions), with_maps(network, Int8Weights.of)
    check_logits(expected, batches, rounded)  # type: ignore[arg-type]
    with torch.inference_mode():
        assert all((rounded(*batch) - network(*batch)).abs().max() > 0 for batch in batches)


@pytest.mark.parametrize("case", one_of_each([case for case in CASES if case.decodes and case.language_model]), ids=str)
def test_a_model_writes_by_them(case: Case, tmp_path: Path) -> None:
    assert case.language_model is not None
    model = load(case, case.language_model, tmp_path).model.float()
    expected, rounded = with_maps(model, in_fractions), with_maps(model, Int8Weights.of)
    assert isinstance(expected, Transformer) and isinstance(rounded, Transformer)
    assert isinstance(rounded.output.product, Int8Weights)  # type: ignore[union-attr]
    (ids,) = texts(case, model.spec.written_size, (7,))
    with torch.inference_mode():
        found, right = (
            one.logits(one.decode(ids, None if one.encoder is None else one.encode(ids))) for one in (rounded, expected)
        )
    assert (found - right).abs().max() <= TOLERANCE * right.abs().max().clamp(min=1)
