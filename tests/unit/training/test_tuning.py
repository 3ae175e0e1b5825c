"""Freezing, layer-wise decay, the head's rate and adapters: what learns, how fast, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import heedful
from heedful.data import Example, ExampleStore
from heedful.errors import RecipeError, RequestError, UnsupportedError
from heedful.model import PointerSpec, UniformSpec, build
from heedful.nn import LoraLinear, lora_layers
from heedful.tasks import TextClassifier
from heedful.training import Trainer, TrainingSettings, read_recipe, train
from heedful.training.interruption import StopRequest
from heedful.training.optimisation import build_optimizer
from heedful.training.schedule import rate_factor
from heedful.training.tuning import Layout, parameter_groups, prepare

Rows = tuple[dict[str, Any], ...]
Stores = Callable[[Iterable[dict[str, Any]]], ExampleStore]
Untrained = Callable[..., TextClassifier]

DEEP = {"num_layers": 4, "positions": "learned"}
ALL_TARGETS = ["query", "key", "value", "output", "up", "down"]
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"layer_decay": 0.5},
    "head": {"head_learning_rate": 0.03},
    "embeddings": {"freeze": {"embeddings": True}},
    "layers": {"freeze": {"embeddings": True, "layers": 3}, "layer_decay": 0.7},
    "probe": {"freeze": {"embeddings": True, "layers": 4}},
    "lora": {"lora": {"rank": 2}},
    "lora in the upper layers": {"lora": {"targets": ALL_TARGETS}, "freeze": {"layers": 2}, "layer_decay": 0.9},
}
each_setting = pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))


def weights(task: TextClassifier) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in task.network.state_dict().items()}


def task_examples(texts: list[str]) -> list[Example]:
    return [Example(text, None, (), row) for row, text in enumerate(texts, 1)]


def fit(task: TextClassifier, examples: ExampleStore, **settings: Any) -> None:
    given = TrainingSettings.model_validate({"learning_rate": 0.01, "tokens_per_batch": 256, "epochs": 1} | settings)
    Trainer(task, examples, None, given, 1, lambda which: None).run(StopRequest())


def deep(untrained: Untrained, rows: Rows) -> TextClassifier:
    """A classifier of four layers."""
    return untrained(rows, model=DEEP, objective={"subword_dropout": 0})


# Which parameters learn


@each_setting
def test_every_parameter_that_learns_is_in_one_group_once(
    untrained: Untrained, rows: Rows, settings: dict[str, Any]
) -> None:
    network = deep(untrained, rows).network
    given = TrainingSettings.model_validate(settings)
    prepare(network, given, seed=1)
    groups = build_optimizer(network, given).param_groups
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    assert len({(group["initial_lr"], group["weight_decay"]) for group in groups}) == len(groups)
    for group in groups:
        assert len({parameter.dim() > 1 for parameter in group["params"]}) == 1
        assert (group["weight_decay"] > 0) == (group["params"][0].dim() > 1)


LEARNS: dict[str, Callable[[str], bool]] = {
    "plain": lambda name: True,
    "decay": lambda name: True,
    "head": lambda name: True,
    "embeddings": lambda name: "embedding" not in name,
    "layers": lambda name: name.startswith(("model.encoder.layers.3.", "model.encoder.norm.", "head.")),
    "probe": lambda name: name.startswith("head."),
    "lora": lambda name: name.startswith("head.") or name.endswith(("query.weight", "value.weight")),
    "lora in the upper layers": lambda name: (
        name.startswith("head.")
        or (
            name.startswith(("model.encoder.layers.2.", "model.encoder.layers.3."))
            and name.endswith(tuple(f"{target}.weight" for target in ALL_TARGETS))
        )
    ),
}


@pytest.mark.parametrize("kind", LEARNS)
def test_training_moves_what_is_to_learn_and_no_bit_of_the_rest(
    untrained: Untrained, stores: Stores, rows: Rows, kind: str
) -> None:
    task = deep(untrained, rows)
    before = weights(task)
    fit(task, stores(rows), weight_decay=0.5, weight_average=0.5, **SETTINGS[kind])
    after = weights(task)
    assert set(after) == set(before)
    # The bias of keys shifts all scores of a query alike: it learns nothing but rounding.
    moved = {name for name in before if not torch.equal(before[name], after[name]) and "key.bias" not in name}
    assert moved == {name for name in before if LEARNS[kind](name) and "key.bias" not in name}
    assert set(LEARNS) == set(SETTINGS)


def test_the_embeddings_may_learn_below_frozen_layers(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    task = deep(untrained, rows)
    before = weights(task)
    fit(task, stores(rows), freeze={"layers": 4})
    moved = {name for name, tensor in weights(task).items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if "embedding" in name or name.startswith("head.")}


# How fast


def test_the_rates_of_an_encoder_are_those_of_the_formula(untrained: Untrained, rows: Rows) -> None:
    """η · dⁿ with n layers above, for each depth; the head has its own."""
    network = deep(untrained, rows).network
    settings = TrainingSettings(learning_rate=0.01, layer_decay=0.5, head_learning_rate=0.3)
    rate = {
        id(parameter): group["lr"] for group in parameter_groups(network, settings) for parameter in group["params"]
    }
    expected = {"model.encoder.norm.": 0.01, "head.": 0.3, "model.token_embedding.": 0.01 / 16}
    expected |= {f"model.encoder.layers.{number}.": 0.01 / 2 ** (3 - number) for number in range(4)}
    expected["model.encoder.embeddings."] = 0.01 / 16
    for name, parameter in network.named_parameters():
        (wanted,) = [value for start, value in expected.items() if name.startswith(start)]
        assert rate[id(parameter)] == wanted, name
    assert len(set(rate.values())) == 6


def test_each_stack_counts_from_its_own_end(untrained: Untrained) -> None:
    """An encoder of two layers, a decoder of three, an output with a weight of its own, and a pointer."""
    sizes = UniformSpec(
        d_model=8,
        num_layers=2,
        decoder_layers=3,
        num_heads=2,
        positions="learned",
        tied_output=False,
        pointer=PointerSpec(),
    )
    network = nn.ModuleDict({"model": build(sizes.encoder_decoder(20, max_positions=9))})
    layout = Layout.of(network)
    found = {
        re.sub(r"(layers\.\d).*|(embedding|embeddings|norm|output|pointer)\..*", r"\1\2", name): layout.layers_above(
            name
        )
        for name, _ in network.named_parameters()
    }
    assert found == {
        "model.token_embedding": 3,
        "model.encoder.embeddings": 2,
        "model.encoder.layers.0": 1,
        "model.encoder.layers.1": 0,
        "model.encoder.norm": 0,
        "model.decoder.embeddings": 3,
        "model.decoder.layers.0": 2,
        "model.decoder.layers.1": 1,
        "model.decoder.layers.2": 0,
        "model.decoder.norm": 0,
        "model.output": 0,
        "model.pointer": 0,
    }


def test_every_group_follows_the_schedule(
    untrained: Untrained, stores: Stores, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen-in rate of 0.5 a layer is 0.5 a layer in every step, warm-up and end alike."""
    made: list[torch.optim.Optimizer] = []
    seen: list[list[float]] = []

    def build_and_watch(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
        optimizer = build_optimizer(module, settings)
        assert isinstance(optimizer, torch.optim.Optimizer)
        made.append(optimizer)
        made[0].register_step_pre_hook(lambda *rest: seen.append([group["lr"] for group in made[0].param_groups]))
        return made[0]

    monkeypatch.setattr("heedful.training.trainer.build_optimizer", build_and_watch)
    fit(deep(untrained, rows), stores(rows), layer_decay=0.5, head_learning_rate=0.04, epochs=3, warmup=0.3)
    peaks = [group["initial_lr"] for group in made[0].param_groups]
    assert len(seen) > 10
    for step, rates in enumerate(seen, 1):
        factor = rate_factor("cosine", step, warmup=round(0.3 * len(seen)), total=len(seen))
        assert rates == [peak * factor for peak in peaks]


# Adapters


def test_a_fresh_adapter_is_put_in_and_changes_no_answer(untrained: Untrained, rows: Rows, texts: list[str]) -> None:
    task, plain = deep(untrained, rows), deep(untrained, rows)
    prepare(task.network, TrainingSettings.model_validate({"lora": {"rank": 3, "alpha": 5, "dropout": 0.1}}), seed=1)
    found = lora_layers(task.network)
    attention = [f"model.encoder.layers.{number}.self_attention" for number in range(4)]
    assert set(found) == {f"{place}.{target}" for place in attention for target in ("query", "value")}
    assert {(layer.rank, layer.alpha, layer.dropout.p) for layer in found.values()} == {(3, 5, 0.1)}
    task.network.eval()
    plain.network.eval()
    assert task.predict(texts) == plain.predict(texts)


def test_the_seed_decides_the_adapters(untrained: Untrained, rows: Rows) -> None:
    def start(seed: int) -> Tensor:
        network = deep(untrained, rows).network
        torch.manual_seed(seed + 7)
        prepare(network, TrainingSettings.model_validate({"lora": {}}), seed=seed)
        return next(iter(lora_layers(network).values())).down

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


@pytest.mark.parametrize("weight_average", [0.0, 0.9])
def test_what_is_saved_is_a_plain_model_with_the_same_answers(
    untrained: Untrained, stores: Stores, rows: Rows, texts: list[str], tmp_path: Path, weight_average: float
) -> None:
    """In float64: merging the adapters moves logits by rounding alone."""
    task = deep(untrained, rows)
    task.network.double()
    logits = []

    def keep(which: str) -> None:
        task.network.eval()
        logits.append(task.score(task_examples(texts)).logits)
        task.save(tmp_path / which)

    settings = TrainingSettings.model_validate(
        {"epochs": 3, "learning_rate": 0.05, "weight_average": weight_average, "lora": {"targets": ALL_TARGETS}}
    )
    Trainer(task, stores(rows), None, settings, 1, keep).run(StopRequest())
    assert len(lora_layers(task.network)) == 4 * len(ALL_TARGETS)
    assert all(float(layer.delta().detach().abs().max()) > 1e-3 for layer in lora_layers(task.network).values())
    saved = heedful.load(tmp_path / "best")
    assert not lora_layers(saved.network)
    difference = abs(saved.score(task_examples(texts)).logits - logits[-1]).max()
    assert difference <= 1e-13  # measured: 3e-15


# What is refused

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"freeze": {"layers": 5}}, "training.freeze.layers is 5; the layers of the encoder are 4"),
    (
        {"lora": {"targets": ["query", "valeu"]}},
        "names 'valeu', and the model has no such linear layer; did you mean value?",
    ),
    ({"lora": {"targets": ["output"]}, "freeze": {"layers": 4}}, "training.freeze leaves no layer for the adapters"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=str)
def test_what_cannot_be_is_refused(untrained: Untrained, rows: Rows, settings: dict[str, Any], message: str) -> None:
    task = deep(untrained, rows)
    with pytest.raises(RecipeError) as caught:
        prepare(task.network, TrainingSettings.model_validate(settings), seed=1)
    assert message in caught.value.message


class Bag(nn.Module):
    """A model of a user's own, without layers by name."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.mix = nn.Linear(8, 8)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"freeze": {"layers": 1}}, "freeze.layers"),
        ({"freeze": {"embeddings": True}}, "freeze.embeddings"),
        ({"layer_decay": 0.9}, "layer_decay"),
        ({"optimizer": "muon"}, "optimizer=muon"),
    ],
)
def test_a_model_without_layers_by_name_has_no_layer_options(settings: dict[str, Any], name: str) -> None:
    network = nn.ModuleDict({"model": Bag(), "head": nn.Linear(8, 2)})
    with pytest.raises(UnsupportedError, match=rf"training\.{name} goes by a model's layers"):
        prepare(network, TrainingSettings.model_validate(settings), seed=1)


def test_a_model_without_layers_by_name_takes_adapters_and_a_rate_for_its_head() -> None:
    network = nn.ModuleDict({"model": Bag(), "head": nn.Linear(8, 2)})
    settings = TrainingSettings.model_validate({"lora": {"targets": ["mix"]}, "head_learning_rate": 0.5})
    prepare(network, settings, seed=1)
    assert set(lora_layers(network)) == {"model.mix"}
    assert {group["lr"] for group in parameter_groups(network, settings)} == {0.5, settings.learning_rate}


def test_a_rate_for_the_head_needs_a_head() -> None:
    with pytest.raises(UnsupportedError, match="this model has none"):
        prepare(nn.ModuleDict({"model": Bag()}), TrainingSettings(head_learning_rate=0.1), seed=1)


def test_something_must_learn() -> None:
    sizes = UniformSpec(d_model=8, num_layers=1, num_heads=2)
    network = nn.ModuleDict({"model": build(sizes.encoder(20))})
    with pytest.raises(RecipeError, match="leaves nothing to learn"):
        prepare(network, TrainingSettings.model_validate({"freeze": {"layers": 1, "embeddings": True}}), seed=1)


class Sharing(nn.Module):
    """Two layers that are one and the same."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.ModuleDict({"query": nn.Linear(4, 4)})
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList([layer, layer])})


def test_shared_layers_are_frozen_together_or_not_at_all() -> None:
    with pytest.raises(RecipeError, match="splits what shares one weight"):
        prepare(nn.ModuleDict({"model": Sharing()}), TrainingSettings.model_validate({"freeze": {"layers": 1}}), seed=1)
    network = nn.ModuleDict({"model": Sharing(), "head": nn.Linear(4, 2)})
    prepare(network, TrainingSettings.model_validate({"freeze": {"layers": 2}}), seed=1)
    assert not network.get_parameter("model.encoder.layers.1.query.weight").requires_grad


def test_shared_layers_learn_at_the_rate_of_the_highest() -> None:
    network = nn.ModuleDict({"model": Sharing()})
    (decayed, plain) = parameter_groups(network, TrainingSettings(learning_rate=0.1, layer_decay=0.5))
    assert (decayed["lr"], len(decayed["params"]), plain["lr"], len(plain["params"])) == (0.1, 1, 0.1, 1)


def test_shared_layers_share_their_adapter() -> None:
    network = nn.ModuleDict({"model": Sharing(), "head": nn.Linear(4, 2)})
    prepare(network, TrainingSettings.model_validate({"lora": {"targets": ["query"]}}), seed=1)
    layers = network.get_submodule("model.encoder.layers")
    assert isinstance(layers.get_submodule("0.query"), LoraLinear)
    assert layers.get_submodule("0.query") is layers.get_submodule("1.query")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": {"layer": 4}}, "training.freeze.layer: unknown key; did you mean layers?"),
        ({"lora": {"rank": 0}}, "training.lora.rank: "),
        ({"lora": {"targets": []}}, "training.lora.targets: "),
        ({"layer_decay": 1.1}, "training.layer_decay: "),
        ({"layer_decay": 0}, "training.layer_decay: "),
    ],
    ids=str,
)
def test_impossible_values_are_named(
    recipe: Callable[..., dict[str, Any]], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(recipe(training=settings))
    assert message in caught.value.message


# A whole run


def test_a_refusal_leaves_nothing_behind(recipe: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the layers of the encoder are 1"):
        train(recipe(training={"freeze": {"layers": 2}}))
    assert not (tmp_path / "run").exists()


def test_a_run_with_adapters_is_a_plain_folder(recipe: Callable[..., dict[str, Any]], texts: list[str]) -> None:
    run = train(recipe(training={"lora": {"rank": 2}, "weight_average": 0.5}))
    plain = train(recipe() | {"overwrite": True, "output": run.folder.parent / "plain"})
    assert set(run.task.network.state_dict()) == set(plain.task.network.state_dict())
    for folder in (run.folder, run.folder / "last"):
        assert heedful.load(folder).predict(texts)
