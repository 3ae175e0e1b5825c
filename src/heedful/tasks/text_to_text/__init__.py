"""From text to text: translation and summarization."""

from __future__ import annotations

from heedful.tasks.text_to_text.create import text_to_text_job
from heedful.tasks.text_to_text.jobs import Summarizer, Translator
from heedful.tasks.text_to_text.settings import SummarizationSettings, TextToTextCard, TranslationSettings
from heedful.tasks.text_to_text.task import TextToText, Written

__all__ = [
    "SummarizationSettings",
    "Summarizer",
    "TextToText",
    "TextToTextCard",
    "TranslationSettings",
    "Translator",
    "Written",
    "text_to_text_job",
]
