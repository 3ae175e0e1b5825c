"""Explaining answers: the one thing that a user calls, for one text or for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from heedful.errors import UnsupportedError
from heedful.explanation.labels import explain_labels
from heedful.explanation.result import Explanation, WrittenExplanation
from heedful.explanation.written import explain_written
from heedful.nn.int8 import is_rounded
from heedful.tasks import Task, TextClassifier, TextToText

Text = str | tuple[str, str]
"""A text, or a pair of texts for a classifier of pairs."""


@overload
def explain(task: TextClassifier, text: Text, **options: Any) -> Explanation: ...
@overload
def explain(task: TextClassifier, text: list[Text] | list[str], **options: Any) -> list[Explanation]: ...
@overload
def explain(task: TextToText, text: str, **options: Any) -> WrittenExplanation: ...
@overload
def explain(task: TextToText, text: list[str], **options: Any) -> list[WrittenExplanation]: ...
def explain(
    task: TextClassifier | TextToText,
    text: Text | Sequence[Text],
    *,
    target: str | None = None,
    against: str | None = None,
    method: str | None = None,
    **options: Any,
) -> Any:
    """Say how much each part of a text speaks for an answer.

    Args:
        task: a classifier, a translator or a summarizer.
        text: a text, a pair of texts for a classifier of pairs; or a list, which is explained in batches.
        target: of a classifier, the label to explain, the most probable one if not given; else the answer to explain,
            the one that the model writes if not given.
        against: of a classifier, a label: what speaks for ``target`` and not for this one is explained.
        method: the best that the model allows if not given. For written answers ``contributions`` or ``leave_one_out``,
            for labels also the others:

            - ``contributions``: what each token adds to the logit, exactly: tokens and bias sum to it.
            - ``integrated_gradients``: the gradient on the way from a text of mask tokens (Sundararajan et al. 2017).
            - ``gradient_input``: gradient times token vector (Shrikumar et al. 2017).
            - ``leave_one_out``: the fall of the logit when a word is hidden (Li et al. 2016); for any module.

        options: ``by_sentence``: sentences of the text, not words, have the scores. Of a classifier, ``labels``: so
            many of the most probable labels are explained beside; ``verify``: hide the words that count most, and as
            many at random, to see what becomes of the probability.

    Raises:
        RequestError: there is no such label or method, or a text has no word.
        UnsupportedError: the task has no answers to explain, or the method does not suit its model.
        JobError: the model's logits are not finite.
    """
    if isinstance(task, Task) and is_rounded(task.network):
        raise UnsupportedError(
            "a network that was rounded to 8-bit integers has no gradients", remedy="Load it without precision."
        )
    several = not isinstance(text, str | tuple)
    texts: Any = list(text) if several else [text]
    if isinstance(task, TextClassifier):
        found: Sequence[Any] = explain_labels(task, texts, target=target, against=against, method=method, **options)
    elif isinstance(task, TextToText):
        if against is not None:
            raise UnsupportedError("against is for classifiers: it names a label", remedy="Leave it out.")
        found = explain_written(task, texts, answer=target, method=method, **options)
    else:
        raise UnsupportedError(
            f"{task!r:.80} has no answers to explain", remedy="Give what heedful.load or heedful.train returned."
        )
    return list(found) if several else found[0]
