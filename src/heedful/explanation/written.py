"""Why a model writes what it writes: for each token of an answer, one pass back.

W words of the source, T tokens and U words of the answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from heedful.data import Example
from heedful.errors import JobError, RequestError, UnsupportedError
from heedful.explanation.alti import source_share
from heedful.explanation.frozen import frozen
from heedful.explanation.passes import answering, case_of
from heedful.explanation.result import WrittenExplanation
from heedful.explanation.rows import covering, plain
from heedful.explanation.words import owners, whole_words
from heedful.settings import nearest
from heedful.tasks import TextToText
from heedful.tasks.text_to_text.trust import Finished, examine
from heedful.tasks.text_to_text.trust.attention import read_answers
from heedful.tasks.text_to_text.trust.words import Spans, word_spans
from heedful.text.pieces import Span
from heedful.text.sentences import split_sentences


@dataclass(frozen=True)
class TokenContributions:
    """What speaks for each of T tokens that were written. R tokens of what was read."""

    source: NDArray[np.float64]
    """(T, R)."""
    prefix: NDArray[np.float64]
    """(T, T), of the tokens of the answer; 0 from the token itself on."""
    start: NDArray[np.float64]
    """(T,), of what a decoder beside an encoder reads first."""
    bias: NDArray[np.float64]
    """(T,)."""
    logits: NDArray[np.float64]
    """(T,); of the token, or less that of the one it stands against."""
    log_probabilities: NDArray[np.float64]
    """(T,)."""


def token_contributions(
    task: TextToText, finished: Finished, *, against: Sequence[int] | None = None
) -> TokenContributions:
    """Exact contributions to the logit of each token of an answer; see :mod:`.frozen`.

    Args:
        against: (T,), tokens whose logits are taken away.

    Raises:
        UnsupportedError: the model copies, so that what it writes by is no sum of contributions.
    """
    model = task.model
    if model.pointer is not None:
        raise UnsupportedError(
            "this model copies tokens of the source, and what is copied is no sum of contributions",
            remedy="Use method leave_one_out.",
        )
    device = task.device
    read = torch.tensor([[*finished.prompt, *finished.tokens[:-1]]], device=device)
    first = len(finished.prompt) - 1
    with frozen(model, model) as trace:
        memory = model.encode(torch.tensor([finished.source], device=device)) if finished.source else None
        states = model.decode(read, memory)[:, first:]
        logits = model.logits(states)
    log_probabilities = logits[0].to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    tokens = torch.tensor(finished.tokens, device=device)
    claims = logits[0].gather(-1, tokens[:, None])[:, 0]
    if against is not None:
        claims = claims - logits[0].gather(-1, torch.tensor(against, device=device)[:, None])[:, 0]
    added, biases = zip(*(trace.attribute(claim[None]) for claim in claims), strict=True)
    before = len(finished.prompt)
    decoder = torch.stack([parts[-1][0] for parts in added])
    prefix = torch.nn.functional.pad(decoder[:, before:], (0, 1))
    asked = decoder[:, :before]
    encoder = torch.stack([parts[0][0] for parts in added]) if finished.source else asked
    start = asked.sum(-1) if finished.source else torch.zeros_like(claims)
    chosen = log_probabilities.gather(-1, tokens[:, None])[:, 0]
    return TokenContributions(*map(plain, (encoder, prefix, start, torch.cat(biases), claims, chosen)))


def hidden_effects(
    task: TextToText, finished: Finished, groups: Sequence[Sequence[int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much the log-probability of each token of an answer falls when tokens of what is read are hidden.

    The answer stays as it is: each token is judged given the same tokens before it.

    Args:
        groups: W groups of places in what is read.

    Returns:
        (T, W), and the log-probabilities with nothing hidden, (T,).
    """
    cover = covering(task)
    variants = []
    for places in [(), *groups]:
        read = list(finished.read)
        for place in places:
            read[place] = cover
        hidden = {"source": tuple(read)} if finished.source else {"prompt": tuple(read)}
        variants.append(replace(finished, **hidden))
    found = dict(read_answers(task.model, variants, layers=()))
    scores = np.stack([found[number].log_probabilities for number in range(len(variants))])
    return (scores[0] - scores[1:]).T, scores[0]


def explain_written(
    task: TextToText,
    texts: Sequence[str],
    *,
    answer: str | None = None,
    method: str | None = None,
    by_sentence: bool = False,
) -> list[WrittenExplanation]:
    """Explain what a model writes for each text; see :func:`heedful.explain`."""
    name = method or ("contributions" if task.model.pointer is None and not by_sentence else "leave_one_out")
    if name not in METHODS:
        raise RequestError(f"{name!r} is no method for answers; {nearest(name, METHODS)}")
    if answer is not None and len(texts) != 1:
        raise RequestError(
            f"one answer cannot be that of {len(texts)} texts", remedy="Explain texts with given answers one by one."
        )
    explained = []
    for text in texts:
        if answer is None:
            (written,) = task.predict([text])
            pairs = written.parts or ((text, written.text),)
            answered = [(part, _written(task, part, own)) for part, own in pairs if own.strip()]
        else:
            answered = [(text, answer)] if answer.strip() else []
        parts = [_explain_part(task, *pair, name, by_sentence=by_sentence) for pair in answered]
        if not parts:
            raise RequestError(f"the answer for {text!r:.60} is empty: there is nothing to explain")
        explained.append(parts[0] if len(parts) == 1 else joined(text, parts))
    return explained


@dataclass(frozen=True)
class _Units:
    """What scores of tokens are summed up to: words or sentences, and behind them the tokens that are in none."""

    names: tuple[str, ...]
    spans: tuple[Span, ...]
    """Of the first units, in the text."""
    matrix: NDArray[np.float64]
    """(tokens, units), 1 where a token belongs to a unit."""

    @classmethod
    def of(cls, text: str, spans: Sequence[Span], tokens: Spans, names: Sequence[str]) -> _Units:
        """``spans`` are those of the units, ``names`` what to call tokens that are in none."""
        found = owners(tokens, spans)
        alone = [place for place, unit in enumerate(found) if unit is None]
        numbers = {place: len(spans) + number for number, place in enumerate(alone)}
        matrix = np.zeros((len(tokens), len(spans) + len(alone)))
        for place, unit in enumerate(found):
            matrix[place, numbers[place] if unit is None else unit] = 1
        called = [text[start:end] for start, end in spans] + [names[place] for place in alone]
        return cls(tuple(called), tuple(spans), matrix)

    def of_words(self, text: str) -> list[int]:
        """The unit that each word of the text is in."""
        ends = [end for _, end in self.spans]
        return [bisect_right(ends, start) for start, _ in word_spans(text)]

    def places(self) -> list[list[int]]:
        """Of the tokens of each unit that has a span."""
        return [np.flatnonzero(column).tolist() for column in self.matrix[:, : len(self.spans)].T]


def _written(task: TextToText, text: str, answer: str) -> Sequence[int] | str:
    """The very tokens that the model writes, if they are the answer: the same text may be cut in other ways too."""
    case = case_of(task, text)
    return case.finished.tokens if case.answer == answer else answer


def _explain_part(
    task: TextToText, text: str, answer: Sequence[int] | str, method: str, *, by_sentence: bool
) -> WrittenExplanation:
    case = case_of(task, text, answer)
    finished = case.finished
    ((_, cut),) = task.encode_sources([Example(text, None, (), 1)])
    notes = [f"{cut} tokens of the source were cut, and have no part in the answer"] * bool(cut)
    if isinstance(answer, str) and case.answer != answer.strip():
        notes.append(
            f"the answer was cut to {len(finished.tokens)} tokens, or they write it otherwise: {case.answer!r}"
        )
    cuts = (
        split_sentences(text, task.card.source_language).spans if by_sentence else whole_words(text, case.source_spans)
    )
    source = _Units.of(text, cuts, case.source_spans, [""] * len(case.source_spans))
    target = _Units.of(
        case.answer,
        whole_words(case.answer, case.answer_spans),
        case.answer_spans,
        [task.target_tokenizer.decode([token], skip_special=False) for token in finished.tokens],
    )
    width = len(source.spans)
    with answering(task.network):
        (findings,) = examine(task.model, [case], task.card.trust, keeps_numbers=task.keeps_numbers)
        found = _METHODS[method](task, finished, source)
        shares = source_share(task.model, finished)
    if not np.isfinite(found.logits).all():
        raise JobError(
            f"the model's logits for {text!r:.60} are not finite", remedy="Look at its weights with heedful doctor."
        )
    sources, targets = source.of_words(text), target.of_words(case.answer)
    pairs = dict.fromkeys((sources[word], targets[written]) for word, written in findings.alignment)
    up = target.matrix.T
    by_source = up @ found.source
    return WrittenExplanation(
        text=text,
        answer=case.answer,
        words=source.names[:width],
        spans=source.spans,
        written=target.names,
        source=by_source[:, :width],
        source_special=by_source[:, width:].sum(axis=1),
        prefix=up @ found.prefix @ target.matrix,
        start=up @ found.start,
        bias=up @ found.bias,
        logits=up @ found.logits,
        probabilities=np.exp(up @ found.log_probabilities),
        source_share=(up @ shares) / up.sum(axis=1).clip(min=1),
        alignment=() if by_sentence else tuple(pairs),
        method=method,
        notes=tuple(notes),
    )


def _by_contributions(task: TextToText, finished: Finished, source: _Units) -> TokenContributions:
    found = token_contributions(task, finished)
    return replace(found, source=found.source @ source.matrix)


def _by_hiding(task: TextToText, finished: Finished, source: _Units) -> TokenContributions:
    """What is explained is the log-probability; nothing but the source is hidden."""
    falls, scores = hidden_effects(task, finished, source.places())
    none = np.zeros(len(scores))
    return TokenContributions(falls, np.zeros((len(scores), len(scores))), none, none, scores, scores)


_METHODS: dict[str, Callable[[TextToText, Finished, _Units], TokenContributions]] = {
    "contributions": _by_contributions,
    "leave_one_out": _by_hiding,
}
"""What each gives for the units of a source in place of its tokens."""
METHODS = tuple(_METHODS)


def joined(text: str, parts: Sequence[WrittenExplanation]) -> WrittenExplanation:
    """Explanations of the parts of a text as one: each was answered by itself, and speaks for no other answer."""
    offsets, place = [], 0
    for part in parts:
        place = text.index(part.text, place)
        offsets.append(place)
        place += len(part.text)
    firsts = np.cumsum([0, *(len(part.words) for part in parts)])
    lasts = np.cumsum([0, *(len(part.written) for part in parts)])
    return WrittenExplanation(
        text=text,
        answer=" ".join(part.answer for part in parts),
        words=tuple(word for part in parts for word in part.words),
        spans=tuple(
            (start + begin, end + begin)
            for part, begin in zip(parts, offsets, strict=True)
            for start, end in part.spans
        ),
        written=tuple(word for part in parts for word in part.written),
        source=block_diagonal([part.source for part in parts]),
        prefix=block_diagonal([part.prefix for part in parts]),
        alignment=tuple(
            (int(own + first), int(other + last))
            for part, first, last in zip(parts, firsts, lasts, strict=False)
            for own, other in part.alignment
        ),
        method=parts[0].method,
        notes=(f"answered in {len(parts)} parts, each by itself", *(note for part in parts for note in part.notes)),
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("source_special", "start", "bias", "logits", "probabilities", "source_share")
        },
    )


def block_diagonal(blocks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Matrices along the diagonal of one, zeros elsewhere."""
    whole = np.zeros(np.sum([block.shape for block in blocks], axis=0))
    row = column = 0
    for block in blocks:
        whole[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return whole
