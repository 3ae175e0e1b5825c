"""From examples to what the network and the loss read: windows of tokens, and numbers of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heedful.data import Example, LabelKind
from heedful.errors import DataError, UnsupportedError
from heedful.settings import nearest
from heedful.tasks.classification.losses import IGNORED
from heedful.tasks.classification.settings import ClassifierCard
from heedful.tasks.refusals import naming
from heedful.text import FittedText, LongInput, Tokenizer, fit


def windows_of(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    card: ClassifierCard,
    *,
    seed: int | None = None,
    subword_dropout: float = 0.0,
) -> list[FittedText]:
    """Texts as the network sees them.

    Args:
        seed: of a training epoch, in which words are cut in ways of its own, with ``subword_dropout``.

    Raises:
        UnsupportedError: an example is a pair and the classifier reads single texts, or the other way round.
        InputTooLongError: a text is longer than the model takes and ``long_input`` is ``error``.
    """
    reads_pairs = any(example.pair for example in examples) if card.reads_both else card.columns.pair is not None
    for example in examples:
        if (example.pair is not None) != reads_pairs:
            given, wanted = ("one text", "pairs of texts") if reads_pairs else ("a pair of texts", "single texts")
            raise UnsupportedError(f"{example.place} is {given}, and this classifier reads {wanted}")
    texts = [example.text for example in examples]
    pairs = [example.pair or "" for example in examples] if reads_pairs else None
    if seed is None or not subword_dropout:
        encodings = tokenizer.encode_batch(texts, pairs)
        long_input = card.long_input
    else:
        seeds = [(seed << 32) + example.row for example in examples]
        encodings = tokenizer.encode_batch(texts, pairs, dropout=subword_dropout, seeds=seeds)
        # Cut in more pieces, a text that fits may for once be too long: no reason to refuse it.
        long_input = LongInput.TRUNCATE if card.long_input is LongInput.ERROR else card.long_input
    fitted = []
    for example, encoding in zip(examples, encodings, strict=True):
        with naming(example.place):
            fitted.append(fit(encoding, card.max_length, long_input))
    return fitted


def targets_of(examples: Sequence[Example], card: ClassifierCard) -> NDArray[np.int64]:
    """Label numbers (N,), ``IGNORED`` where out of scope; or (N, C) of 0 and 1 with several labels a text.

    Raises:
        DataError: an example has a label that the classifier does not know, or none.
    """
    index = {label: number for number, label in enumerate(card.labels)}
    several = card.label_kind is LabelKind.MULTI
    for example in examples:
        if not several and len(example.labels) != 1:
            raise DataError(f"{example.place} has {len(example.labels)} labels; this classifier gives one a text")
        for label in example.labels:
            if label not in index and label != card.out_of_scope:
                raise DataError(
                    f"{example.place} has the label {label!r}, which this classifier never learnt",
                    remedy=f"Leave such rows out, or train with them ({nearest(label, card.labels)}).",
                )
    if several:
        targets = np.zeros((len(examples), len(index)), dtype=np.int64)
        for row, example in enumerate(examples):
            targets[row, [index[label] for label in example.labels]] = 1
        return targets
    return np.array([index.get(example.labels[0], IGNORED) for example in examples], dtype=np.int64)
