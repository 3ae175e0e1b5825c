"""From text to text: translation and summarization."""

from __future__ import annotations

from heedful.tasks.text_to_text.create import create_text_to_text
from heedful.tasks.text_to_text.jobs import Summarizer, Translator
from heedful.tasks.text_to_text.load import load_text_to_text, text_to_text_of
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
    "create_text_to_text",
    "load_text_to_text",
    "text_to_text_of",
]
