"""The recipe attention_is_all_you_need against what its paper says (Vaswani et al. 2017)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from heedful.data import ExampleStore, LabelKind, read_examples
from heedful.evaluation import Evaluation
from heedful.generation import GenerationSettings
from heedful.model import NormPlacement, UniformSpec, build
from heedful.tasks import JOBS, Translator
from heedful.training import Recipe, TrainingState, read_recipe, train
from heedful.training.optimisation import build_optimizer
from heedful.training.schedule import rate_factor

NAME = "attention_is_all_you_need"
WARMUP = 4000
TOY: dict[str, Any] = {
    "model": {"d_model": 16, "num_layers": 1, "num_heads": 2, "d_ff": 32},
    "tokenizer.vocabulary_size": 320,
    "task.validation_texts": 2,
    "task.max_target_length": 32,
    "task.generation.num_beams": 2,
}


def paper_rate(step: int, *, d_model: int, warmup: int) -> float:
    """Equation 3."""
    return float(d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))


def shipped(**overrides: Any) -> Recipe:
    return read_recipe(NAME, overrides)


@pytest.fixture
def pairs(tmp_path: Path) -> dict[str, Any]:
    """Aligned files of sentences whose words are turned round."""
    lines = [f"sentence {number} says {number % 7} things" for number in range(40)]
    (tmp_path / "a.en").write_text("\n".join(lines) + "\n", encoding="utf-8")
    turned = (" ".join(reversed(line.split())) for line in lines)
    (tmp_path / "a.de").write_text("\n".join(turned) + "\n", encoding="utf-8")
    name = f"{tmp_path / 'a.en'}+{tmp_path / 'a.de'}"
    return {"data.train": name, "data.validation": name}


class Watcher:
    """Keeps the learning rate of every step."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_step(self, state: TrainingState) -> None:
        self.rates.append(state.learning_rate)

    def on_evaluation(self, state: TrainingState, evaluation: Evaluation, *, best: bool) -> None:
        pass


@contextmanager
def toy(pairs: dict[str, Any]) -> Iterator[tuple[Translator, ExampleStore]]:
    """The recipe's task at toy size, and its data."""
    recipe = shipped(**TOY, **pairs)
    with ExampleStore(read_examples(pairs["data.train"], label_kind=LabelKind.TEXT)) as store:
        task = JOBS["translation"].create(
            recipe.task, recipe.tokenizer, recipe.model, store, recipe.data.columns, seed=1
        )
        yield task, store


@pytest.mark.parametrize("step", [1, 2, 1000, 3999, 4000, 4001, 10_000, 100_000])
def test_the_rate_of_every_step_is_that_of_equation_3(step: int) -> None:
    training = shipped().training
    assert training.max_steps is not None
    warmup = training.warmup_steps(training.max_steps)
    factor = rate_factor(training.schedule, step, warmup=warmup, total=training.max_steps)
    assert training.learning_rate * factor == pytest.approx(paper_rate(step, d_model=512, warmup=WARMUP), rel=1e-12)


def test_a_run_at_toy_size_follows_equation_3_and_learns(pairs: dict[str, Any], tmp_path: Path) -> None:
    watcher, d_model, warmup = Watcher(), 16, 60
    peak = {"learning_rate": (d_model * warmup) ** -0.5, "warmup": warmup}
    size = {"max_steps": 80, "tokens_per_batch": 512, "threads": 1, "evaluate_every": 4, "log_every": 1}
    run = train(NAME, observers=[watcher], **TOY, **pairs, training={**peak, **size}, output=tmp_path / "run")
    expected = [paper_rate(step, d_model=d_model, warmup=warmup) for step in range(1, 81)]
    assert watcher.rates == pytest.approx(expected, rel=1e-12)
    records = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [record["train_loss"] for record in records if "train_loss" in record]
    assert len(losses) == 80
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert isinstance(run.task, Translator)
    assert run.task.card.generation.num_beams == 2
    assert run.task.card.generation.length_penalty == 0.6


def test_the_loss_is_the_cross_entropy_with_a_tenth_spread_over_the_vocabulary(pairs: dict[str, Any]) -> None:
    with toy(pairs) as (task, store):
        task.network.double().eval()
        batch = task.collate(store.take(range(5)))
        with torch.no_grad():
            hidden = task.model.decode(batch.decoder_ids, task.model.encode(batch.ids, batch.mask), batch.mask)
            logs = task.model.logits(hidden).log_softmax(-1)
            found = task.loss(batch)
        expected = 0.0
        for row, column in (batch.targets >= 0).nonzero().tolist():
            log = logs[row, column]
            expected -= float(0.9 * log[batch.targets[row, column]] + 0.1 * log.mean())
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_the_optimiser_is_adam_with_the_numbers_of_section_5_3() -> None:
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Linear(3, 2, dtype=torch.float64) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    training = shipped().training
    adam = torch.optim.Adam(theirs.parameters(), lr=training.learning_rate, betas=(0.9, 0.98), eps=1e-9)
    optimizers = [(ours, build_optimizer(ours, training)), (theirs, adam)]
    for _ in range(5):
        inputs = torch.randn(4, 3, dtype=torch.float64)
        for module, optimizer in optimizers:
            optimizer.zero_grad()
            module(inputs).pow(2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-12, atol=1e-14)


def test_the_model_is_the_base_model_of_table_3() -> None:
    recipe = shipped()
    assert isinstance(recipe.model, UniformSpec)
    assert recipe.model.norm_placement is NormPlacement.POST
    assert (recipe.model.d_model, recipe.model.num_layers, recipe.model.num_heads) == (512, 6, 8)
    assert (recipe.model.d_ff, recipe.model.dropout, recipe.model.tied_output) == (2048, 0.1, True)
    assert recipe.tokenizer is not None
    with torch.device("meta"):
        model = build(recipe.model.encoder_decoder(recipe.tokenizer.vocabulary_size))
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(65e6, rel=0.04)


def test_answers_are_searched_for_as_in_section_6_1() -> None:
    generation = shipped().task.generation  # type: ignore[union-attr]
    assert isinstance(generation, GenerationSettings)
    assert (generation.num_beams, generation.length_penalty, generation.length_normalization) == (4, 0.6, "gnmt")
