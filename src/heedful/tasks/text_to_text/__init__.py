"""From text to text: translation and summarization."""

from __future__ import annotations

from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.create import text_to_text_job
from heedful.tasks.text_to_text.glossary import Glossary
from heedful.tasks.text_to_text.held_out import finish_text_to_text
from heedful.tasks.text_to_text.jobs import Summarizer, Translator
from heedful.tasks.text_to_text.long_documents import LongDocument
from heedful.tasks.text_to_text.memory import TranslationMemory
from heedful.tasks.text_to_text.options import AnswerOptions
from heedful.tasks.text_to_text.settings import (
    PAPER_TRAINING,
    SummarizationSettings,
    TextToTextCard,
    TranslationSettings,
)
from heedful.tasks.text_to_text.task import TextToText

__all__ = [
    "PAPER_TRAINING",
    "AnswerOptions",
    "Glossary",
    "LongDocument",
    "SummarizationSettings",
    "Summarizer",
    "TextAnswer",
    "TextToText",
    "TextToTextCard",
    "TranslationMemory",
    "TranslationSettings",
    "Translator",
    "finish_text_to_text",
    "text_to_text_job",
]
