"""A new classifier from data: tokenizer, labels, network."""

from __future__ import annotations

from collections import Counter

import torch

from heedful.data import Columns, ExampleStore, LabelKind
from heedful.errors import DataError
from heedful.model import ClassificationHeadSpec, UniformSpec, build, build_head
from heedful.tasks.classification.classifier import TextClassifier
from heedful.tasks.classification.settings import ClassificationSettings, ClassifierCard
from heedful.text import Tokenizer, TokenizerKind, TokenizerSettings


def create_classifier(
    settings: ClassificationSettings,
    tokenizer: TokenizerSettings,
    model: UniformSpec,
    store: ExampleStore,
    columns: Columns,
    *,
    seed: int,
) -> TextClassifier:
    """A classifier with random weights for the labels of ``store``, with a tokenizer trained on its texts.

    Raises:
        DataError: there are fewer than two labels.
    """
    counts = Counter(label for example in store for label in example.labels)
    counts.pop(settings.out_of_scope or "", None)
    if len(counts) < 2:
        found = f"only the label {next(iter(counts))!r}" if counts else "no label"
        raise DataError(
            f"the training data holds {found}, and a classifier needs two or more",
            remedy=f"Check that the column {columns.label!r} is the one with the labels.",
        )
    labels = tuple(sorted(counts))
    trained = Tokenizer.train(store.texts(), tokenizer)
    head = ClassificationHeadSpec(
        num_labels=len(labels), pooling=settings.pooling, dense=settings.dense, dropout=settings.head_dropout
    )
    spec = model.encoder(
        trained.vocabulary_size,
        max_positions=settings.max_length,
        num_token_types=2 if columns.pair else 0,
    )
    card = ClassifierCard(
        labels=labels,
        label_kind=settings.labels,
        columns=columns,
        max_length=settings.max_length,
        long_input=settings.long_input,
        head=head,
        abstain_below=settings.abstain_below,
        out_of_scope=settings.out_of_scope,
    )
    objective = settings.objective
    if tokenizer.kind is TokenizerKind.CHARACTERS:
        objective = objective.model_copy(update={"subword_dropout": 0.0})  # a character has no other cut
    classifier = TextClassifier(
        build(spec, seed=seed), build_head(head, spec.d_model, seed=seed), trained, card, objective
    )
    if settings.objective.class_weights == "balanced":
        classifier.class_weights = _balanced(counts, labels, len(store), settings.labels)
    return classifier


def _balanced(counts: Counter[str], labels: tuple[str, ...], num_examples: int, kind: LabelKind) -> torch.Tensor:
    """Weights of labels, float64 (C,): N / (C × count); with several labels a text, negatives over positives."""
    frequencies = torch.tensor([counts[label] for label in labels], dtype=torch.float64)
    if kind is LabelKind.MULTI:
        return (num_examples - frequencies).clamp(min=1) / frequencies
    return frequencies.sum() / (len(labels) * frequencies)
