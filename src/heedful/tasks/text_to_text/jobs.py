"""The two jobs, which differ in how answers are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from heedful.metrics import (
    SUMMARIZATION_METRICS,
    TRANSLATION_METRICS,
    Metric,
    TextStatistics,
    summarization_statistics,
    translation_statistics,
)
from heedful.tasks.text_to_text.task import TextToText


class Translator(TextToText):
    """Translates texts; judged by BLEU, chrF and chrF++."""

    job: ClassVar[str] = "translation"

    @property
    def metrics(self) -> Mapping[str, Metric[Any]]:
        return {metric.name: metric for metric in TRANSLATION_METRICS}

    @property
    def main_metric(self) -> str:
        return "bleu"

    def compare(self, answers: Sequence[str], targets: Sequence[str]) -> TextStatistics[Any]:
        """What the metrics need."""
        return translation_statistics(answers, targets)


class Summarizer(TextToText):
    """Summarizes texts; judged by ROUGE."""

    job: ClassVar[str] = "summarization"

    @property
    def metrics(self) -> Mapping[str, Metric[Any]]:
        return {metric.name: metric for metric in SUMMARIZATION_METRICS}

    @property
    def main_metric(self) -> str:
        return "rougeL"

    def compare(self, answers: Sequence[str], targets: Sequence[str]) -> TextStatistics[Any]:
        """What the metrics need."""
        return summarization_statistics(answers, targets)
