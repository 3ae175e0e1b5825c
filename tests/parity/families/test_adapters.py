"""Adapters of every family: merged onto a checkpoint under upstream's names, they are what a run would save."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.parity.families.cases import CASES
from tests.parity.families.harness import Case
from torch import nn

from heedful.checkpoint import merge_adapter, open_weights, write_adapter
from heedful.families import FAMILIES, ConfigReader, to_upstream
from heedful.families.adapters import adapter_to_upstream
from heedful.model import build
from heedful.nn import lora_layers
from heedful.training import TrainingSettings
from heedful.training.tuning import prepare

TOLERANCE = 1e-14
"""In float64; measured: below 2e-15."""


def test_every_family_has_a_case() -> None:
    assert {case.model_type for case in CASES} == set(FAMILIES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_all_maps_of_all_layers_are_adapted_under_the_familys_names(case: Case, tmp_path: Path) -> None:
    spec = case.family.spec(ConfigReader(dict(case.options)))
    model = build(spec, seed=1).double()
    _, base = to_upstream(case.family, spec, model.state_dict())
    save_file({name: tensor.clone() for name, tensor in base.items()}, tmp_path / "model.safetensors")
    maps = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and ".layers." in name]
    targets = sorted({name.rpartition(".")[2] for name in maps})
    lora = TrainingSettings.model_validate({"lora": {"rank": 2, "alpha": 5, "targets": targets}})
    prepare(nn.ModuleDict({"model": model}), lora, seed=1)
    torch.manual_seed(1)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.up)
    assert set(lora_layers(model)) >= set(maps)
    write_adapter(tmp_path / "adapter", adapter_to_upstream(case.family, model), base="here")
    merged = merge_adapter(open_weights(tmp_path), tmp_path / "adapter")
    _, expected = to_upstream(case.family, spec, model.state_dict())
    assert set(merged) == set(expected) == set(base)
    for name, tensor in expected.items():
        assert torch.allclose(merged.tensor(name), tensor, rtol=0, atol=TOLERANCE), name
    assert sum(not torch.equal(expected[name], tensor) for name, tensor in base.items()) >= 4
