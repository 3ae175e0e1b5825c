"""What a model would have answered after each of its layers: the logit lens (nostalgebraist 2020).

Its own final norm and its own head are put on the states between layers. L layers, C labels, T tokens of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from heedful.errors import RequestError
from heedful.explanation.alti import recorded
from heedful.explanation.passes import TextPass, pass_of, quiet
from heedful.explanation.rows import plain
from heedful.tasks import Task, TextClassifier, TextToText
from heedful.tasks.classification.answers import probabilities_of


@dataclass(frozen=True)
class LabelLens:
    """The probability of each label after so many layers."""

    labels: tuple[str, ...]
    """(C,)."""
    probabilities: NDArray[np.float64]
    """(L + 1, C), from the token vectors, after no layer, to the answer of the model, after all of them."""


@dataclass(frozen=True)
class TokenLens:
    """The most probable next tokens after so many layers. N tokens are given at each place."""

    written: tuple[str, ...]
    """(T,), the tokens of the answer."""
    tokens: tuple[tuple[tuple[str, ...], ...], ...]
    """(L + 1, T, N), the most probable first."""
    probabilities: NDArray[np.float64]
    """(L + 1, T, N)."""


def logit_lens(
    task: Task[Any], text: str | tuple[str, str], *, answer: str | Sequence[int] | None = None, top: int = 5
) -> LabelLens | TokenLens:
    """Read a task's answer to a text off each of its layers; the last one's is the model's own.

    Args:
        answer: of a task that writes, a text or its tokens; what the task itself answers unless given.
        top: tokens at each place, where an answer is written.

    Raises:
        UnsupportedError: the model is no Transformer of this toolkit, or a classifier is given an answer.
        RequestError: ``top`` is below 1.
        InputTooLongError: the text is longer than the classifier reads at once.
    """
    if top < 1:
        raise RequestError(f"{top} tokens are asked for at each place", remedy="Ask for 1 or more.")
    text_pass = pass_of(task, text, answer)
    with quiet(text_pass.network):
        logits = _logits_by_layer(text_pass)
    if isinstance(task, TextClassifier):
        return LabelLens(task.labels, probabilities_of(plain(logits[:, 0]), task.card))
    assert isinstance(task, TextToText)
    best = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1).topk(min(top, logits.shape[-1]))
    tokenizer = task.target_tokenizer
    tokens = tuple(
        tuple(tuple(tokenizer.decode([token], skip_special=False) for token in place) for place in layer)
        for layer in best.indices[:, 0].tolist()
    )
    return TokenLens(text_pass.written, tokens, plain(best.values[:, 0]))


def _logits_by_layer(text_pass: TextPass) -> torch.Tensor:
    """(L + 1, 1, …)."""
    model = text_pass.model
    stack = model.encoder if model.decoder is None else model.decoder
    assert stack is not None
    with recorded(stack) as runs:
        final = text_pass.run()
    between = [stack.norm(run.states)[:, -final.shape[1] :] for run in runs]
    return torch.stack([text_pass.answer(states) for states in (*between, final)])
