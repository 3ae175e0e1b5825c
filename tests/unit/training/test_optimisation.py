"""The optimiser's groups and the average of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from heedful.tasks import TextClassifier
from heedful.training import TrainingSettings
from heedful.training.optimisation import CheckpointAverage, MovingAverage, build_average, build_optimizer

Rows = tuple[dict[str, Any], ...]


def test_matrices_are_decayed_and_vectors_are_not(untrained: Callable[..., TextClassifier], rows: Rows) -> None:
    """With zero gradients AdamW only decays: matrices shrink by the rate times the decay."""
    network = untrained(rows).network
    for parameter in network.parameters():
        nn.init.normal_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    build_optimizer(network, TrainingSettings(learning_rate=0.1, weight_decay=0.5)).step()
    kinds = set()
    for name, parameter in network.named_parameters():
        decayed = name.endswith("weight") and "norm" not in name
        kinds.add(decayed)
        expected = before[name] * (1 - 0.1 * 0.5) if decayed else before[name]
        assert torch.allclose(parameter, expected, rtol=1e-6, atol=0), name
    assert kinds == {True, False}


def test_one_step_is_adamw(untrained: Callable[..., TextClassifier], rows: Rows) -> None:
    """θ ← θ - η · λ · θ - η · m̂ / (√v̂ + ε), Loshchilov and Hutter 2019, algorithm 2."""
    network = untrained(rows).network.double()
    settings = TrainingSettings(learning_rate=0.01, weight_decay=0.1, betas=(0.8, 0.95), epsilon=1e-6)
    optimizer = build_optimizer(network, settings)
    parameter = network.get_parameter("head.output.weight")
    expected, first, second = parameter.detach().clone(), torch.zeros_like(parameter), torch.zeros_like(parameter)
    for step in range(1, 4):
        gradient = torch.randn(parameter.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        parameter.grad = gradient.clone()
        optimizer.step()
        first, second = 0.8 * first + 0.2 * gradient, 0.95 * second + 0.05 * gradient**2
        expected -= 0.01 * 0.1 * expected
        expected -= 0.01 * (first / (1 - 0.8**step)) / ((second / (1 - 0.95**step)).sqrt() + 1e-6)
    assert torch.allclose(parameter.detach(), expected, rtol=1e-12, atol=1e-14)


def test_every_trainable_parameter_is_optimised_once(untrained: Callable[..., TextClassifier], rows: Rows) -> None:
    network = untrained(rows).network
    network.get_parameter("head.output.bias").requires_grad_(False)
    groups = build_optimizer(network, TrainingSettings()).param_groups
    optimised = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(optimised) == len(set(optimised))
    assert set(optimised) == {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    assert all(group["fused"] for group in groups)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_average_is_the_bias_corrected_moving_one(decay: float) -> None:
    """(1 - d) / (1 - dᵗ) · Σ dᵗ⁻ⁱ θᵢ over the steps i = 1 … t; the start θ₀ has no part in it."""
    module = nn.Linear(3, 2, dtype=torch.float64)
    nn.init.constant_(module.weight, 1e6)
    average = MovingAverage(module, decay)
    history = []
    for step in range(1, 8):
        nn.init.normal_(module.weight)
        history.append(module.weight.detach().clone())
        average.update()
        total = torch.stack([decay ** (step - index) * weight for index, weight in enumerate(history, 1)]).sum(0)
        expected = (1 - decay) / (1 - decay**step) * total
        with average.applied():
            assert torch.allclose(module.weight, expected, rtol=1e-9, atol=1e-9)
        assert torch.equal(module.weight, history[-1])


def test_the_parameters_return_after_a_failure() -> None:
    module = nn.Linear(3, 2)
    average = MovingAverage(module, 0.9)
    average.update()
    nn.init.constant_(module.weight, 5)
    with pytest.raises(RuntimeError), average.applied():
        assert not (module.weight == 5).any()
        raise RuntimeError
    assert (module.weight == 5).all()


def test_without_settings_there_is_no_average() -> None:
    module = nn.Linear(3, 2)
    average = build_average(module, TrainingSettings())
    nn.init.constant_(module.weight, 5)
    average.update()
    average.checkpoint()
    with average.applied():
        assert (module.weight == 5).all()


def test_the_mean_of_the_last_checkpoints() -> None:
    module = nn.Linear(3, 2, dtype=torch.float64)
    average = build_average(module, TrainingSettings(average_last=3))
    assert isinstance(average, CheckpointAverage)
    history = []
    for step in range(1, 8):
        nn.init.normal_(module.weight)
        average.update()
        if step % 2:
            average.checkpoint()
            history.append(module.weight.detach().clone())
        with average.applied():
            expected = torch.stack(history[-3:]).mean(dim=0)
            assert torch.allclose(module.weight, expected, rtol=1e-14, atol=0)
        assert step % 2 == 0 or torch.equal(module.weight, history[-1])


@pytest.mark.parametrize("settings", [{"average_last": 2}, {"weight_average": 0.9}])
def test_before_there_is_an_average_the_module_is_kept(settings: dict[str, Any]) -> None:
    module = nn.Linear(3, 2)
    average = build_average(module, TrainingSettings(**settings))
    nn.init.constant_(module.weight, 5)
    with average.applied():
        assert (module.weight == 5).all()


def test_two_averages_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="average_last and weight_average are two averages"):
        TrainingSettings(average_last=5, weight_average=0.9)


def test_muon_moves_matrices_of_layers_by_orthogonal_steps_and_all_else_as_adamw(
    untrained: Callable[..., TextClassifier], rows: Rows
) -> None:
    networks = [untrained(rows).network for _ in range(2)]
    optimizers = [
        build_optimizer(network, TrainingSettings(learning_rate=0.01, weight_decay=0.0, optimizer=name))
        for network, name in zip(networks, ("muon", "adamw"), strict=True)
    ]
    before = {name: parameter.detach().clone() for name, parameter in networks[0].named_parameters()}
    for network, optimizer in zip(networks, optimizers, strict=True):
        generator = torch.Generator().manual_seed(0)
        for parameter in network.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
        optimizer.zero_grad()
        assert all(parameter.grad is None for parameter in network.parameters())
    by_muon = 0
    for name, parameter in networks[0].named_parameters():
        step = before[name] - parameter.detach()
        if ".layers." in name and parameter.dim() == 2:
            by_muon += 1
            # Five rounds bring every singular value near to 1, not onto it.
            sizes = torch.linalg.svdvals(step) / (0.01 * 0.2 * max(parameter.shape) ** 0.5)
            assert sizes.min() > 0.6 and sizes.max() < 1.3, name
        else:
            assert torch.equal(parameter, networks[1].get_parameter(name)), name
    assert by_muon == 6 * len(networks[0].model.encoder.layers)  # type: ignore[union-attr, arg-type]


def test_every_parameter_is_optimised_once_by_muon_or_adamw(
    untrained: Callable[..., TextClassifier], rows: Rows
) -> None:
    network = untrained(rows).network
    groups = build_optimizer(network, TrainingSettings(optimizer="muon")).param_groups
    optimised = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(optimised) == sorted(map(id, network.parameters()))


def test_muon_is_not_for_adapters() -> None:
    with pytest.raises(ValidationError, match="adapters are learnt by adamw"):
        TrainingSettings.model_validate({"optimizer": "muon", "lora": {}})
