"""Training: recipes, the one trainer, and runs."""

from __future__ import annotations

from heedful.training.recipe import Recipe, parse_overrides, read_recipe
from heedful.training.run import Run, train
from heedful.training.settings import TrainingSettings
from heedful.training.trainer import Observer, Trainer, TrainingState

__all__ = [
    "Observer",
    "Recipe",
    "Run",
    "Trainer",
    "TrainingSettings",
    "TrainingState",
    "parse_overrides",
    "read_recipe",
    "train",
]
