"""One pass of a text, and maybe of its answer, through a task's model, to be watched.

S tokens of the source, T of the answer, R that a decoder reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.model import Transformer
from heedful.nn import CopySource
from heedful.tasks import Task, TextClassifier, TextToText
from heedful.tasks.classification.answers import example_of
from heedful.tasks.classification.batch import stack_windows
from heedful.tasks.classification.reading import windows_of
from heedful.tasks.text_to_text.search import search_settings
from heedful.tasks.text_to_text.trust import Case, Finished, source_spans
from heedful.tasks.text_to_text.trust.words import Spans
from heedful.tasks.text_to_text.writing import Passage, draft
from heedful.text import Encoding, Tokenizer


@dataclass(frozen=True)
class TextPass:
    """What goes through a model, and the names of its tokens."""

    model: Transformer
    network: nn.Module
    run: Callable[[], Tensor]
    """Makes the pass, and gives the states (1, N, D) that the answer is made from."""
    answer: Callable[[Tensor], Tensor]
    """Logits (1, …) of such states."""
    encoded: tuple[str, ...]
    """(S,), what the encoder reads; nothing for a model without one."""
    decoded: tuple[str, ...]
    """(R,), what the decoder reads; nothing for a model without one."""
    written: tuple[str, ...] = ()
    """(T,), the tokens of the answer; the last T places of the decoder are those that they are written from."""


def pass_of(task: Task[Any], text: str | tuple[str, str], answer: str | Sequence[int] | None = None) -> TextPass:
    """The pass that a task's answer to a text comes from.

    Args:
        text: of a classifier of pairs, both texts.
        answer: of a task that writes, a text or its tokens; what the task itself answers unless given.

    Raises:
        UnsupportedError: the task is of no Transformer, or a classifier is given an answer.
        InputTooLongError: the text is longer than the classifier reads at once.
    """
    transformer_of(task)
    if isinstance(task, TextToText):
        if isinstance(text, tuple):
            raise UnsupportedError("a pair of texts was given; the task reads single texts")
        return _written_pass(task, case_of(task, text, answer))
    assert isinstance(task, TextClassifier)
    if answer is not None:
        raise UnsupportedError("a classifier writes no answer", remedy="Leave the answer out.")
    return _classifier_pass(task, text)


def transformer_of(task: Task[Any]) -> Transformer:
    """The Transformer of a task.

    Raises:
        UnsupportedError: it is of a module whose insides are not known.
    """
    model = getattr(task, "model", None)
    if isinstance(task, Task) and isinstance(model, Transformer):
        return model
    raise UnsupportedError(
        f"{getattr(task, 'source', None) or type(task).__name__} is no task with a Transformer of this toolkit, and "
        "what is inside is not known",
        remedy="Give what heedful.load returns, or explain a module of your own from outside, by leaving words out.",
    )


@contextmanager
def answering(network: nn.Module) -> Iterator[None]:
    """Inside, a network answers as it would after training; then each part of it is as it was."""
    training = [part for part in network.modules() if part.training]
    network.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def quiet(network: nn.Module) -> Iterator[None]:
    """Inside, a network answers as it would after training, and nothing is differentiated."""
    with answering(network), torch.inference_mode():
        yield


def case_of(task: TextToText, text: str, answer: str | Sequence[int] | None = None) -> Case:
    """An answer to a text as the model reads both.

    Args:
        answer: a text or its tokens; what the task itself answers unless given.

    Raises:
        DataError: the text is empty.
        RequestError: there is no token in the answer.
    """
    example = example_of(text, 1)
    if answer is None:
        with quiet(task.network):
            (drafted,) = draft(task, [Passage(example)], search_settings(task))
        return drafted.case(task, drafted.hypotheses[0].tokens)
    if isinstance(answer, str):
        (tokens,) = task.encode_targets([example._replace(target=answer)])
    else:
        tokens = [*answer]
    if not tokens:
        raise RequestError("the answer has no token", remedy="Give one with a token, or leave it out.")
    ((encoding, _),) = task.encode_sources([example])
    request = task.architecture.request(0, encoding, search_settings(task))
    spans = source_spans(encoding, task.architecture.text_start)
    return Case.of(Finished(request.source, request.prompt, tuple(tokens)), text, spans, task.target_tokenizer)


def _written_pass(task: TextToText, case: Case) -> TextPass:
    model, finished, device = task.model, case.finished, task.device
    source = torch.tensor([finished.source], dtype=torch.int64, device=device)
    read = torch.tensor([[*finished.prompt, *finished.tokens[:-1]]], device=device)
    copied: list[CopySource | None] = []

    def run() -> Tensor:
        memory = None if model.encoder is None else model.encode(source)
        copied[:] = [None if memory is None else model.copy_source(source, memory)]
        return model.decode(read, memory)[:, -len(finished.tokens) :]

    written = _names(task.target_tokenizer, finished.tokens, case.answer, case.answer_spans)
    named = _names(task.tokenizer, finished.read, text=case.source, spans=case.source_spans)
    begun = named if model.encoder is None else _names(task.target_tokenizer, finished.prompt)
    return TextPass(
        model,
        task.network,
        run,
        answer=lambda states: model.logits(states, model.copies(states, copied[0])),
        encoded=() if model.encoder is None else named,
        decoded=(*begun, *written[:-1]),
        written=written,
    )


def _classifier_pass(task: TextClassifier, text: str | tuple[str, str]) -> TextPass:
    (fitted,) = windows_of([example_of(text, 1)], task.tokenizer, task.card)
    if len(fitted.windows) > 1:
        raise InputTooLongError(
            f"the text is read in {len(fitted.windows)} windows of {task.card.max_length} tokens",
            remedy="Give a part of it.",
        )
    (window,) = fitted.windows
    ids, mask, token_types, _, _ = stack_windows([fitted.windows], task.tokenizer.special.pad or 0, task.device)
    names = _encoding_names(task.tokenizer, window, (text,) if isinstance(text, str) else text)
    model, network = task.network.model, task.network
    assert isinstance(model, Transformer)
    both = model.encoder is not None and model.decoder is not None
    start = _names(task.tokenizer, [network.decoder_start or 0]) if both else ()
    return TextPass(
        model,
        network,
        run=lambda: network.hidden(ids, mask, token_types),
        answer=lambda states: network.head(states, mask),
        encoded=() if model.encoder is None else names,
        decoded=() if model.decoder is None else (*start, *names)[: len(names)],
    )


def _encoding_names(tokenizer: Tokenizer, encoding: Encoding, texts: Sequence[str]) -> tuple[str, ...]:
    parts = zip(encoding.ids, encoding.texts, encoding.offsets, strict=True)
    return tuple(_name(tokenizer, token, "" if of is None else texts[of][slice(*span)]) for token, of, span in parts)


def _names(tokenizer: Tokenizer, tokens: Sequence[int], text: str = "", spans: Spans | None = None) -> tuple[str, ...]:
    """What to call tokens: the part of the text that they stand for, or by their own name where they come from none."""
    places = spans or [None] * len(tokens)
    parts = ("" if span is None else text[slice(*span)] for span in places)
    return tuple(_name(tokenizer, token, part) for token, part in zip(tokens, parts, strict=True))


def _name(tokenizer: Tokenizer, token: int, part: str) -> str:
    return part or tokenizer.decode([token], skip_special=False)
