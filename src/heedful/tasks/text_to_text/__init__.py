"""From text to text: translation and summarization."""

from __future__ import annotations

from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.create import text_to_text_job
from heedful.tasks.text_to_text.jobs import Summarizer, Translator
from heedful.tasks.text_to_text.settings import (
    PAPER_TRAINING,
    SummarizationSettings,
    TextToTextCard,
    TranslationSettings,
)
from heedful.tasks.text_to_text.task import TextToText

__all__ = [
    "PAPER_TRAINING",
    "SummarizationSettings",
    "Summarizer",
    "TextAnswer",
    "TextToText",
    "TextToTextCard",
    "TranslationSettings",
    "Translator",
    "text_to_text_job",
]
