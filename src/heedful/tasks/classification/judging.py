"""How good a classifier's logits are. N texts, C labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heedful.data import LabelKind
from heedful.metrics import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    ClassificationTally,
    Labels,
    Metric,
    auroc,
    bootstrap,
    classification_statistics,
    confusion_matrix,
    fit_temperature,
    per_class_table,
)
from heedful.tasks.base import Assessment
from heedful.tasks.classification.answers import probabilities_of
from heedful.tasks.classification.losses import IGNORED
from heedful.tasks.classification.settings import ClassifierCard


def metrics_of(kind: LabelKind) -> dict[str, Metric[ClassificationTally]]:
    """The metrics for one label a text, or for several, by name."""
    registry = MULTI_LABEL_METRICS if kind is LabelKind.MULTI else CLASSIFICATION_METRICS
    return {metric.name: metric for metric in registry}


def judge(
    logits: NDArray[np.float64],
    targets: NDArray[np.int64],
    card: ClassifierCard,
    *,
    resamples: int,
    notes: Sequence[str] = (),
) -> Assessment:
    """Compare logits (N, C) with targets, see :func:`heedful.tasks.classification.reading.targets_of`.

    Texts whose label is out of scope enter no metric but ``out_of_scope_auroc``: how well a low score tells them
    from the others.
    """
    multi = card.label_kind is LabelKind.MULTI
    probabilities = probabilities_of(logits, card)
    extra: dict[str, float] = {}
    if not multi and (outside := targets == IGNORED).any():
        extra["out_of_scope_auroc"] = auroc(-probabilities.max(axis=1), outside)
        notes = [*notes, f"{int(outside.sum()):,} of {len(targets):,} texts are out of scope"]
        probabilities, targets = probabilities[~outside], targets[~outside]
    labels: Labels = targets
    confusion = None
    if multi:
        labels, predictions = targets.astype(np.bool_), probabilities >= card.threshold
    else:
        predictions = probabilities.argmax(axis=1)
        confusion = confusion_matrix(targets, predictions, len(card.labels))
    statistics = classification_statistics(labels, probabilities, threshold=card.threshold)
    return Assessment(
        metrics=bootstrap(metrics_of(card.label_kind).values(), statistics, resamples=resamples),
        statistics=statistics,
        num_examples=len(targets),
        classes=card.labels,
        per_class=per_class_table(labels, predictions, card.labels),
        confusion=confusion,
        notes=tuple(notes),
        extra=extra,
    )


def best_temperature(logits: NDArray[np.float64], targets: NDArray[np.int64], kind: LabelKind) -> float:
    """The temperature that fits logits (N, C) to targets, those out of scope left out."""
    if kind is LabelKind.MULTI:
        return fit_temperature(logits, targets.astype(np.bool_))
    inside = targets != IGNORED
    return fit_temperature(logits[inside], targets[inside])
