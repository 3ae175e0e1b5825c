"""Explaining the answer for one text."""

from __future__ import annotations

from collections.abc import Callable

import torch

from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.explanation.result import Explanation
from heedful.explanation.words import words_of
from heedful.settings import nearest
from heedful.tasks import TextClassifier
from heedful.text import Encoding

ROWS = 64
"""Variants of a text in one batch."""


def explain(
    task: TextClassifier, text: str, *, target: str | None = None, method: str = "leave_one_out"
) -> Explanation:
    """Say how much each word of a text speaks for a label.

    Args:
        task: a classifier; any model will do, also a module of the user's own.
        target: the label; the most probable one if not given.
        method: one of :data:`METHODS`. ``leave_one_out``: how much the label's logit falls when the word's tokens are
            hidden behind the mask token, one word at a time (Zeiler and Fergus 2014, section 4.2; Li et al. 2016).

    Raises:
        RequestError: there is no such label or method, or the text has no word.
        UnsupportedError: the task is no classifier, or reads pairs of texts.
        InputTooLongError: the text is longer than the model reads at once.
    """
    if not isinstance(task, TextClassifier):
        raise UnsupportedError("only answers of classifiers can be explained", remedy="Give a TextClassifier.")
    if task.card.columns.pair is not None:
        raise UnsupportedError("a classifier of pairs of texts cannot be explained")
    if method not in METHODS:
        raise RequestError(f"{method!r} is no method; {nearest(method, METHODS)}")
    if target is not None and target not in task.labels:
        raise RequestError(f"{target!r} is no label of this classifier; {nearest(target, task.labels)}")
    (encoding,) = task.tokenizer.encode_batch([text])
    if len(encoding) > task.card.max_length:
        raise InputTooLongError(
            f"the text has {len(encoding)} tokens, and the model reads {task.card.max_length} at once",
            remedy="Explain a part of it.",
        )
    words = words_of(text, encoding)
    if not words:
        raise RequestError("the text has no word to speak for anything", remedy="Give a text with a word in it.")
    whole = _logits(task, encoding, [[]])[0]
    index = int(whole.argmax()) if target is None else task.labels.index(target)
    scores = METHODS[method](task, encoding, [places for _, places in words], index)
    return Explanation(
        text=text,
        label=task.labels[index],
        logit=float(whole[index]),
        words=tuple(text[start:end] for (start, end), _ in words),
        offsets=tuple(span for span, _ in words),
        scores=tuple(scores),
        method=method,
    )


def _leave_one_out(task: TextClassifier, encoding: Encoding, words: list[list[int]], index: int) -> list[float]:
    """The fall of a logit when each word is hidden, W numbers."""
    logits = _logits(task, encoding, [[], *words])[:, index]
    return [float(logits[0] - logits[number]) for number in range(1, len(logits))]


METHODS: dict[str, Callable[[TextClassifier, Encoding, list[list[int]], int], list[float]]] = {
    "leave_one_out": _leave_one_out
}
"""By name: what gives each word its score."""


@torch.inference_mode()
def _logits(task: TextClassifier, encoding: Encoding, hidden: list[list[int]]) -> torch.Tensor:
    """Logits (N, C), float64, of N variants of a text, in each of which some of its tokens are hidden."""
    special = task.tokenizer.special
    cover = next((token for token in (special.mask, special.unk, special.pad) if token is not None), 0)
    ids = torch.tensor([encoding.ids] * len(hidden), device=task.device)
    for row, places in enumerate(hidden):
        ids[row, places] = cover
    task.network.eval()
    parts = torch.split(ids, ROWS)
    return torch.cat([task.network(part, torch.ones_like(part, dtype=torch.bool)).double().cpu() for part in parts])
