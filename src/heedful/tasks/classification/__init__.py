"""Text classification."""

from __future__ import annotations

from heedful.tasks.classification.answers import Classification
from heedful.tasks.classification.classifier import TextClassifier
from heedful.tasks.classification.create import create_classifier, finish_classifier
from heedful.tasks.classification.load import load_classifier
from heedful.tasks.classification.pretrained import classifier_of
from heedful.tasks.classification.settings import (
    ClassificationSettings,
    ClassifierCard,
    ObjectiveSettings,
)

__all__ = [
    "Classification",
    "ClassificationSettings",
    "ClassifierCard",
    "ObjectiveSettings",
    "TextClassifier",
    "classifier_of",
    "create_classifier",
    "finish_classifier",
    "load_classifier",
]
