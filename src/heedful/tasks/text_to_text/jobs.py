"""The two jobs, which differ in how answers are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from heedful.data import ExampleStore
from heedful.metrics import (
    SUMMARIZATION_METRICS,
    TRANSLATION_METRICS,
    Metric,
    TextStatistics,
    summarization_statistics,
    translation_statistics,
)
from heedful.tasks.base import Assessment, Tally
from heedful.tasks.text_to_text.baselines import baseline_values
from heedful.tasks.text_to_text.task import TextToText


class Translator(TextToText):
    """Translates texts; judged by BLEU, chrF and chrF++."""

    job: ClassVar[str] = "translation"
    keeps_markup: ClassVar[bool] = True
    keeps_numbers: ClassVar[bool] = True

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
    keeps_markup: ClassVar[bool] = False
    keeps_numbers: ClassVar[bool] = False

    @property
    def metrics(self) -> Mapping[str, Metric[Any]]:
        return {metric.name: metric for metric in SUMMARIZATION_METRICS}

    @property
    def main_metric(self) -> str:
        return "rougeL"

    def assess(self, store: ExampleStore, *, resamples: int = 1000, tally: Tally | None = None) -> Assessment:
        """As for every job, with what the first sentences or the longest ones would reach."""
        assessment = super().assess(store, resamples=resamples, tally=tally)
        texts = [example.text for example in store]
        return replace(assessment, baselines=baseline_values(texts, [example.target or "" for example in store]))

    def compare(self, answers: Sequence[str], targets: Sequence[str]) -> TextStatistics[Any]:
        """What the metrics need."""
        return summarization_statistics(answers, targets)
