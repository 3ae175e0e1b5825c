"""The jobs: text to tensors to answers."""

from __future__ import annotations

from heedful.tasks.base import Assessment, Batch, Tally, Task
from heedful.tasks.classification import (
    Classification,
    ClassificationSettings,
    ClassifierCard,
    ObjectiveSettings,
    TextClassifier,
    create_classifier,
)
from heedful.tasks.registry import TaskSettings, load

__all__ = [
    "Assessment",
    "Batch",
    "Classification",
    "ClassificationSettings",
    "ClassifierCard",
    "ObjectiveSettings",
    "Tally",
    "Task",
    "TaskSettings",
    "TextClassifier",
    "create_classifier",
    "load",
]
