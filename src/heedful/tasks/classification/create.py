"""A new classifier from data: labels, tokenizer, network."""

from __future__ import annotations

from collections import Counter

import torch

from heedful.data import Columns, ExampleStore, LabelKind
from heedful.errors import DataError, RecipeError, UnsupportedError
from heedful.model import ClassificationHead, ClassificationHeadSpec, Transformer, build_head
from heedful.tasks.classification.classifier import TextClassifier
from heedful.tasks.classification.pretrained import start_from_checkpoint
from heedful.tasks.classification.settings import ClassificationSettings, ClassifierCard
from heedful.tasks.classification.start import Start, start_fresh
from heedful.tasks.model_source import CheckpointSource, ModelSource
from heedful.text import Tokenizer, TokenizerSettings


def create_classifier(
    settings: ClassificationSettings,
    tokenizer: TokenizerSettings | None,
    source: ModelSource,
    store: ExampleStore,
    columns: Columns,
    *,
    seed: int,
) -> TextClassifier:
    """A classifier for the labels of ``store``, to be trained.

    Args:
        tokenizer: of the tokenizer to train; None where a checkpoint brings one.

    Raises:
        DataError: there are fewer than two labels.
        RequestError: the model cannot be made, or does not fit the other settings.
    """
    counts = _count_labels(settings, store, columns)
    if isinstance(source, CheckpointSource):
        start = start_from_checkpoint(source)
    else:
        start = start_fresh(
            source,
            store.texts(),
            tokenizer or TokenizerSettings(),
            max_length=settings.max_length,
            reads_pairs=columns.pair is not None,
            seed=seed,
        )
    _check_length(start, settings.max_length)
    labels = start.labels if set(start.labels) == set(counts) else tuple(sorted(counts))
    spec = settings.head(start.head, len(labels))
    head, kept = _head(start, spec, labels, seed)
    card = ClassifierCard(
        labels=labels,
        label_kind=settings.labels,
        columns=columns,
        max_length=settings.max_length,
        long_input=settings.long_input,
        head=spec,
        decoder_start=start.decoder_start,
        abstain_below=settings.abstain_below,
        out_of_scope=settings.out_of_scope,
    )
    objective = settings.objective
    if objective.subword_dropout and not _has_other_cuts(start.tokenizer):
        objective = objective.model_copy(update={"subword_dropout": 0.0})
    classifier = TextClassifier(
        start.model, head, start.tokenizer, card, objective, module=start.module, origin=start.origin
    )
    classifier.revision = start.revision
    classifier.notes = (_told(head, kept),) if isinstance(source, CheckpointSource) else ()
    if settings.objective.class_weights == "balanced":
        classifier.class_weights = _balanced(counts, labels, len(store), settings.labels)
    return classifier


def finish_classifier(
    settings: ClassificationSettings, classifier: TextClassifier, validation: ExampleStore
) -> tuple[str, ...]:
    """Fit on held-out examples what is fitted after training; returns what to tell the user."""
    if not settings.calibrate:
        return ()
    return (f"temperature {classifier.calibrate(validation):.3f} fitted on the validation data",)


def _count_labels(settings: ClassificationSettings, store: ExampleStore, columns: Columns) -> Counter[str]:
    counts = Counter(label for example in store for label in example.labels)
    counts.pop(settings.out_of_scope or "", None)
    if len(counts) < 2:
        found = f"only the label {next(iter(counts))!r}" if counts else "no label"
        raise DataError(
            f"the training data holds {found}, and a classifier needs two or more",
            remedy=f"Check that the column {columns.label!r} is the one with the labels.",
        )
    return counts


def _check_length(start: Start, max_length: int) -> None:
    limit = start.model.max_positions if isinstance(start.model, Transformer) else None
    if limit is not None and max_length > limit:
        raise RecipeError(
            f"task.max_length is {max_length}, and the model takes {limit} tokens",
            remedy=f"Set task.max_length to {limit} or less.",
        )


def _head(
    start: Start, spec: ClassificationHeadSpec, labels: tuple[str, ...], seed: int
) -> tuple[ClassificationHead, list[str]]:
    """A head for ``labels``, and the names of the weights that it takes over from the start."""
    head = build_head(spec, start.model.d_model, seed=seed)
    fitting = {
        name: tensor
        for name, tensor in start.head_weights.items()
        if name in head.state_dict() and (labels == start.labels or not name.startswith("output."))
    }
    head.load_state_dict(fitting, strict=False)
    return head, sorted(fitting)


def _told(head: ClassificationHead, kept: list[str]) -> str:
    if len(kept) == len(head.state_dict()):
        return "the head goes on from the checkpoint's: the labels are the same"
    return "the head starts fresh" + (f", but for {', '.join(kept)} of the checkpoint" if kept else "")


def _has_other_cuts(tokenizer: Tokenizer) -> bool:
    """Whether a text can be cut into other tokens than the usual ones; into characters there is one way only."""
    try:
        tokenizer.encode_batch(["ab"], dropout=0.5)
    except UnsupportedError:
        return False
    return True


def _balanced(counts: Counter[str], labels: tuple[str, ...], num_examples: int, kind: LabelKind) -> torch.Tensor:
    """Weights of labels, float64 (C,): N / (C × count); with several labels a text, negatives over positives."""
    frequencies = torch.tensor([counts[label] for label in labels], dtype=torch.float64)
    if kind is LabelKind.MULTI:
        return (num_examples - frequencies).clamp(min=1) / frequencies
    return frequencies.sum() / (len(labels) * frequencies)
