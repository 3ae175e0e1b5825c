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
from heedful.metrics.tables import ClassScores, Labels, confusion_matrix, most_confused, per_class_table

__all__ = [
    "CLASSIFICATION_METRICS",
    "MULTI_LABEL_METRICS",
    "ClassScores",
    "ClassificationStatistics",
    "ClassificationTally",
    "Direction",
    "Labels",
    "Metric",
    "MetricValue",
    "Statistics",
    "Unit",
    "auroc",
    "bootstrap",
    "classification_statistics",
    "compute_metrics",
    "confusion_matrix",
    "fit_temperature",
    "most_confused",
    "per_class_table",
    "readable",
]
