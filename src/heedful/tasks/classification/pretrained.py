"""Classifiers from checkpoints that others trained, and from runs of ours."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from heedful.checkpoint import CONFIG_FILE, Located, read_json
from heedful.errors import CheckpointError, UnsupportedError
from heedful.families import Pretrained
from heedful.model import Transformer
from heedful.tasks.classification.classifier import TextClassifier
from heedful.tasks.classification.load import load_classifier
from heedful.tasks.classification.settings import ClassifierCard
from heedful.tasks.classification.start import Start, usual_head
from heedful.tasks.model_files import check_vocabulary
from heedful.tasks.model_source import CheckpointSource, open_checkpoint
from heedful.text import LongInput, Tokenizer

TOKENIZER_CONFIG = "tokenizer_config.json"
USUAL_LENGTH = 512
"""Tokens of a text where neither the model nor its tokenizer has a limit."""
NO_LENGTH = 10**6
"""Larger numbers in a tokenizer's config stand for no limit."""


def classifier_of(pretrained: Pretrained, *, dtype: torch.dtype | None = None) -> TextClassifier:
    """A foreign checkpoint as a classifier, with the labels that its config names.

    Args:
        dtype: of the weights; as stored unless given.

    Raises:
        CheckpointError: it holds no trained classification head, or its files do not fit each other.
        UnsupportedError: its head is one of regression.
    """
    folder = pretrained.located.folder
    if not pretrained.has_head or pretrained.head is None:
        raise CheckpointError(
            f"{folder} holds a model of the family {pretrained.family.model_type} "
            "and no trained classification head: it has no labels to give",
            remedy="Train one on labelled texts: a recipe with model.checkpoint, and heedful train.",
        )
    if len(pretrained.labels) < 2:
        raise UnsupportedError(
            f"{folder} has one output only, a regression; heedful classifies",
            remedy="Take a checkpoint with two or more labels.",
        )
    tokenizer = _tokenizer_of(pretrained)
    model = _reader_of(pretrained, dtype)
    card = ClassifierCard(
        labels=pretrained.labels,
        label_kind=pretrained.label_kind,
        reads_both=True,
        max_length=max_length_of(pretrained, model),
        long_input=LongInput.WINDOW,
        head=pretrained.head,
        decoder_start=_decoder_start(pretrained, model, tokenizer),
    )
    classifier = TextClassifier(model, pretrained.load_head(dtype=dtype), tokenizer, card, origin=pretrained.origin)
    classifier.revision = pretrained.located.revision
    classifier.notes = pretrained.notes
    classifier.network.eval()
    return classifier


def start_from_checkpoint(source: CheckpointSource) -> Start:
    """What a foreign checkpoint, or a run of ours, gives a new classifier to start from.

    Raises:
        CheckpointError: there is none, or its files do not fit each other.
    """
    pretrained = open_checkpoint(source)
    if isinstance(pretrained, Located):
        return _start_from_run(pretrained.folder, pretrained.revision)
    model, tokenizer = _reader_of(pretrained, torch.float32), _tokenizer_of(pretrained)
    return Start(
        model=model,
        tokenizer=tokenizer,
        head=pretrained.head or usual_head(model),
        head_weights=_head_weights(pretrained),
        labels=pretrained.labels,
        decoder_start=_decoder_start(pretrained, model, tokenizer),
        origin=pretrained.origin,
        revision=pretrained.located.revision,
    )


def _start_from_run(folder: Path, revision: str | None) -> Start:
    before = load_classifier(folder)
    before.network.float()
    return Start(
        model=before.model,
        tokenizer=before.tokenizer,
        head=before.card.head,
        head_weights=before.head.state_dict(),
        labels=before.labels,
        decoder_start=before.card.decoder_start,
        origin=before.origin,
        revision=revision,
    )


def max_length_of(pretrained: Pretrained, model: Transformer) -> int:
    """The tokens of a text that model and tokenizer both allow."""
    file = pretrained.located.folder / TOKENIZER_CONFIG
    told = read_json(file).get("model_max_length") if file.is_file() else None
    limits = [model.max_positions, told if isinstance(told, int) and 0 < told <= NO_LENGTH else None]
    return min((limit for limit in limits if limit is not None), default=USUAL_LENGTH)


def _reader_of(pretrained: Pretrained, dtype: torch.dtype | None) -> Transformer:
    """The model without its language-model head, which a classifier never asks."""
    model = pretrained.load_model(dtype=dtype)
    model.output = None
    model.spec = model.spec.model_copy(update={"output": None})
    return model


def _tokenizer_of(pretrained: Pretrained) -> Tokenizer:
    tokenizer = Tokenizer.load(pretrained.located.folder)
    check_vocabulary(tokenizer, pretrained.spec.vocabulary_size, pretrained.located.folder)
    return tokenizer


def _head_weights(pretrained: Pretrained) -> dict[str, Tensor]:
    """What the checkpoint holds of a head: all of a trained one, or what stands before its last layer."""
    if pretrained.head is None:
        return {}
    if pretrained.has_head:
        return dict(pretrained.load_head(dtype=torch.float32).state_dict())
    head, kept = pretrained.fresh_head(1)
    return {name: head.state_dict()[name] for name in kept}


def _decoder_start(pretrained: Pretrained, model: Transformer, tokenizer: Tokenizer) -> int | None:
    """What a decoder beside an encoder reads first; its state at the end of the text is what a head reads."""
    if model.encoder is None or model.decoder is None:
        return None
    if tokenizer.encode_batch(["a"])[0].ids[-1] != tokenizer.special.eos:
        raise UnsupportedError(
            f"the tokenizer in {pretrained.located.folder} does not put its end token last, and the classifiers of "
            f"{pretrained.family.model_type} read their answer there",
            remedy="Take a checkpoint of a family whose texts end with the end token, such as BART.",
        )
    start = pretrained.config.get("decoder_start_token_id")
    if not isinstance(start, int):
        file = pretrained.located.folder / CONFIG_FILE
        raise CheckpointError(
            f"{file} names no decoder_start_token_id, the token that the decoder reads first",
            remedy="Add it to the file: the documentation of the model says which it is.",
        )
    return start
