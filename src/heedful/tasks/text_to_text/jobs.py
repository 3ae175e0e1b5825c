"""The two jobs, which differ in how an answer is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from heedful.metrics import Metric
from heedful.tasks.base import Assessment
from heedful.tasks.text_to_text.task import TextToText


class Translator(TextToText):
    """Translates texts."""

    job: ClassVar[str] = "translation"


class Summarizer(TextToText):
    """Summarizes texts."""

    job: ClassVar[str] = "summarization"
