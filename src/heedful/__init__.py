"""heedful: Transformers that pay attention, and show you where.

The names below load on first use, so that ``import heedful`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from heedful.evaluation import Evaluation, evaluate
    from heedful.explanation import Explanation, explain
    from heedful.families import load_model
    from heedful.generation import GenerationSettings, Hypothesis, generate
    from heedful.tasks import (
        AnswerOptions,
        Classification,
        Glossary,
        Summarizer,
        TextAnswer,
        TextClassifier,
        TranslationMemory,
        Translator,
        load,
        pipeline,
        quantize,
    )
    from heedful.training import Run, train

_HOMES = {
    "AnswerOptions": "heedful.tasks",
    "Classification": "heedful.tasks",
    "Evaluation": "heedful.evaluation",
    "Explanation": "heedful.explanation",
    "GenerationSettings": "heedful.generation",
    "Glossary": "heedful.tasks",
    "Hypothesis": "heedful.generation",
    "Run": "heedful.training",
    "Summarizer": "heedful.tasks",
    "TextClassifier": "heedful.tasks",
    "TextAnswer": "heedful.tasks",
    "TranslationMemory": "heedful.tasks",
    "Translator": "heedful.tasks",
    "evaluate": "heedful.evaluation",
    "explain": "heedful.explanation",
    "generate": "heedful.generation",
    "load": "heedful.tasks",
    "load_model": "heedful.families",
    "pipeline": "heedful.tasks",
    "quantize": "heedful.tasks",
    "train": "heedful.training",
}

__all__ = [
    "AnswerOptions",
    "Classification",
    "Evaluation",
    "Explanation",
    "GenerationSettings",
    "Glossary",
    "Hypothesis",
    "Run",
    "Summarizer",
    "TextAnswer",
    "TextClassifier",
    "TranslationMemory",
    "Translator",
    "evaluate",
    "explain",
    "generate",
    "load",
    "load_model",
    "pipeline",
    "quantize",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'heedful' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
