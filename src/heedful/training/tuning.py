"""Which parameters learn, and how fast: freezing, layer-wise decay, a rate for the head, low-rank adapters.

All of it goes by the names of a network's parameters: those of layer N of a stack start with
``model.encoder.layers.N.`` or ``model.decoder.layers.N.``, those of the job's head with ``head.``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from heedful.errors import RecipeError, UnsupportedError
from heedful.nn.lora import LoraLinear
from heedful.settings import nearest
from heedful.training.settings import LoraSettings, TrainingSettings

MODEL, HEAD = "model.", "head."
_WRITING = ("model.output.", "model.pointer.")
_STACK = re.compile(r"model\.(encoder|decoder)\.")
_LAYER = re.compile(r"model\.(encoder|decoder)\.layers\.(\d+)\.")
_FINAL_NORM = re.compile(r"model\.(encoder|decoder)\.norm\.")


@dataclass(frozen=True)
class Layout:
    """Where in the network a parameter stands, by its name."""

    num_layers: Mapping[str, int]
    """Of each stack."""

    @classmethod
    def of(cls, network: nn.Module) -> Layout:
        """Count the layers of the network's stacks."""
        num_layers: dict[str, int] = {}
        for name, _ in network.named_parameters(remove_duplicate=False):
            if found := _LAYER.match(name):
                num_layers[found[1]] = max(num_layers.get(found[1], 0), int(found[2]) + 1)
        return cls(num_layers)

    def height(self, name: str) -> int | None:
        """Layers between the embeddings and a parameter, its own counted: 0 for embeddings, None for a head."""
        if name.startswith((HEAD, *_WRITING)):
            return None
        if found := _LAYER.match(name):
            return int(found[2]) + 1
        if found := _FINAL_NORM.match(name):
            return self.num_layers[found[1]]
        return 0

    def layers_above(self, name: str) -> int:
        """Layers between a parameter and the end of its stack: 0 for the last one and for a head."""
        height = self.height(name)
        if height is None:
            return 0
        found = _STACK.match(name)
        return (self.num_layers[found[1]] if found else max(self.num_layers.values(), default=0)) - height


def prepare(network: nn.Module, settings: TrainingSettings, *, seed: int) -> None:
    """Freeze what is not to learn, and put adapters where they are asked for.

    Args:
        seed: of the adapters' weights.

    Raises:
        RecipeError: more layers are to be frozen than there are, no layer has such targets, or nothing would learn.
        UnsupportedError: the model has no layers or no head by which the settings go.
    """
    layout = Layout.of(network)
    _check(network, layout, settings)
    frozen = {name for name in _names(network) if _is_frozen(name, layout, settings)}
    _check_shared(network, frozen)
    adapted = settings.lora is not None
    for name, parameter in network.named_parameters():
        if name in frozen or (adapted and name.startswith(MODEL)):
            parameter.requires_grad_(False)
    if settings.lora is not None:
        _attach_adapters(network, settings.lora, frozen, seed)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise RecipeError("training.freeze leaves nothing to learn", remedy="Freeze fewer layers.")


def parameter_groups(network: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Groups of the parameters that learn, each with its peak rate (``initial_lr``), its ``weight_decay``, and whether
    it is ``orthogonal``: matrices inside of layers, where Muon is to update them.

    A parameter with n layers between it and the end of its stack learns at ``learning_rate`` · ``layer_decay``ⁿ
    (Howard and Ruder 2018, section 3.2; Clark et al. 2020, appendix B), one of the head at ``head_learning_rate``.
    Biases, norms and other vectors are not decayed.
    """
    layout = Layout.of(network)
    groups: defaultdict[tuple[float, float, bool], list[nn.Parameter]] = defaultdict(list)
    for names, parameter in _shared(network):
        if not parameter.requires_grad:
            continue
        rate = settings.learning_rate * settings.layer_decay ** min(map(layout.layers_above, names))
        if settings.head_learning_rate is not None and names[0].startswith(HEAD):
            rate = settings.head_learning_rate
        orthogonal = settings.optimizer == "muon" and parameter.dim() == 2 and _LAYER.match(names[0]) is not None
        groups[rate, settings.weight_decay if parameter.dim() > 1 else 0.0, orthogonal].append(parameter)
    return [
        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay, "orthogonal": orthogonal}
        for (rate, decay, orthogonal), parameters in groups.items()
    ]


def _check(network: nn.Module, layout: Layout, settings: TrainingSettings) -> None:
    by_layer = {
        "freeze.layers": settings.freeze.layers > 0,
        "freeze.embeddings": settings.freeze.embeddings,
        "layer_decay": settings.layer_decay != 1,
        "optimizer=muon": settings.optimizer == "muon",
    }
    asked = [name for name, wanted in by_layer.items() if wanted]
    if asked and not layout.num_layers:
        raise UnsupportedError(
            f"training.{asked[0]} goes by a model's layers, and this model names none",
            remedy="Leave it out; or name the parameters of layer N of your module encoder.layers.N.…",
        )
    for stack, count in layout.num_layers.items():
        if settings.freeze.layers > count:
            raise RecipeError(
                f"training.freeze.layers is {settings.freeze.layers}; the layers of the {stack} are {count}"
            )
    if settings.head_learning_rate is not None and not any(name.startswith(HEAD) for name in _names(network)):
        raise UnsupportedError(
            "training.head_learning_rate is the rate of a head, and this model has none",
            remedy="Leave it out: training.learning_rate is the rate of all.",
        )


def _is_frozen(name: str, layout: Layout, settings: TrainingSettings) -> bool:
    height = layout.height(name)
    if height is None:
        return False
    return settings.freeze.embeddings if height == 0 else height <= settings.freeze.layers


def _check_shared(network: nn.Module, frozen: set[str]) -> None:
    for names, _ in _shared(network):
        if 0 < len(frozen & set(names)) < len(names):
            raise RecipeError(
                f"training.freeze splits what shares one weight: {', '.join(names[:3])}",
                remedy="Freeze all layers that share their weights, or none.",
            )


def _attach_adapters(network: nn.Module, lora: LoraSettings, frozen: set[str], seed: int) -> None:
    linear = {
        name: part for name, part in network.named_modules() if isinstance(part, nn.Linear) and name.startswith(MODEL)
    }
    known = {_last(name) for name in linear}
    for target in lora.targets:
        if target not in known:
            raise RecipeError(
                f"training.lora.targets names {target!r}, and the model has no such linear layer; "
                f"{nearest(target, known)}"
            )
    chosen = [name for name in linear if _last(name) in lora.targets and f"{name}.weight" not in frozen]
    if not chosen:
        raise RecipeError(
            "training.freeze leaves no layer for the adapters of training.lora", remedy="Freeze fewer layers."
        )
    generator = torch.Generator().manual_seed(seed)
    for name in chosen:
        parent, _, last = name.rpartition(".")
        adapter = LoraLinear(linear[name], lora.rank, alpha=lora.alpha, dropout=lora.dropout, generator=generator)
        setattr(network.get_submodule(parent), last, adapter)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _names(network: nn.Module) -> Iterator[str]:
    return (name for name, _ in network.named_parameters(remove_duplicate=False))


def _shared(network: nn.Module) -> list[tuple[list[str], nn.Parameter]]:
    """Every parameter once, with all the names that it bears."""
    names: dict[int, list[str]] = {}
    parameters: dict[int, nn.Parameter] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
        parameters[id(parameter)] = parameter
    return [(names[key], parameter) for key, parameter in parameters.items()]
