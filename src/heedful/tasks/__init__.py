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
from heedful.tasks.conversion import Conversion, Target, convert, parse_size
from heedful.tasks.model_files import ConversionOptions
from heedful.tasks.model_source import CheckpointSource, ModelSource, ModuleSource, SpecSource, form_of
from heedful.tasks.own_module import TextEncoder
from heedful.tasks.pipeline import Pipeline, pipeline
from heedful.tasks.quantization import Quantization, quantize
from heedful.tasks.registry import JOBS, AnyTask, Job, TaskSettings, load, task_form_of
from heedful.tasks.text_to_text import (
    AnswerOptions,
    Glossary,
    SummarizationSettings,
    Summarizer,
    TextAnswer,
    TextToText,
    TranslationMemory,
    TranslationSettings,
    Translator,
)

__all__ = [
    "JOBS",
    "AnswerOptions",
    "AnyTask",
    "Assessment",
    "Batch",
    "CheckpointSource",
    "Classification",
    "ClassificationSettings",
    "ClassifierCard",
    "Conversion",
    "ConversionOptions",
    "Glossary",
    "Job",
    "ModelSource",
    "ModuleSource",
    "ObjectiveSettings",
    "Pipeline",
    "Quantization",
    "SpecSource",
    "SummarizationSettings",
    "Summarizer",
    "Tally",
    "Target",
    "Task",
    "TaskSettings",
    "TextAnswer",
    "TextClassifier",
    "TextEncoder",
    "TextToText",
    "TranslationMemory",
    "TranslationSettings",
    "Translator",
    "convert",
    "create_classifier",
    "form_of",
    "load",
    "parse_size",
    "pipeline",
    "quantize",
    "task_form_of",
]
