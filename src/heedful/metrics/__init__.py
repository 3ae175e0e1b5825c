"""Metrics: pure functions over numpy arrays, each with a value, a direction and a unit."""

from __future__ import annotations

from heedful.metrics.calibration import fit_temperature
from heedful.metrics.classification import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    ClassificationStatistics,
    ClassificationTally,
    classification_statistics,
    compute_metrics,
)
from heedful.metrics.metric import Direction, Metric, MetricValue, Unit, readable
from heedful.metrics.ranking import auroc
from heedful.metrics.resampling import Statistics, bootstrap
from heedful.metrics.significance import Comparison, approximate_randomisation, paired_bootstrap
from heedful.metrics.summarization import (
    SUMMARIZATION_METRICS,
    SummarizationStatistics,
    SummarizationTally,
    summarization_statistics,
)
from heedful.metrics.tables import ClassScores, Labels, confusion_matrix, most_confused, per_class_table
from heedful.metrics.text import TextStatistics
from heedful.metrics.translation import (
    TRANSLATION_METRICS,
    TranslationStatistics,
    TranslationTally,
    translation_statistics,
)

__all__ = [
    "CLASSIFICATION_METRICS",
    "MULTI_LABEL_METRICS",
    "SUMMARIZATION_METRICS",
    "TRANSLATION_METRICS",
    "ClassScores",
    "ClassificationStatistics",
    "ClassificationTally",
    "Comparison",
    "Direction",
    "Labels",
    "Metric",
    "MetricValue",
    "Statistics",
    "SummarizationStatistics",
    "SummarizationTally",
    "TextStatistics",
    "TranslationStatistics",
    "TranslationTally",
    "Unit",
    "approximate_randomisation",
    "auroc",
    "bootstrap",
    "classification_statistics",
    "compute_metrics",
    "confusion_matrix",
    "fit_temperature",
    "most_confused",
    "paired_bootstrap",
    "per_class_table",
    "readable",
    "summarization_statistics",
    "translation_statistics",
]
