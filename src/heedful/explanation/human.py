"""What people said of texts, and how far the scores of words agree with it. W words of a text.

Two kinds of data are known. ``rationales`` lists the parts of a text that people took its label from, each as [start,
end) in words that white space separates (DeYoung et al. 2020). ``tree`` is a tree of phrases in brackets, each with a
label from 0, very negative, to 4, very positive, as in the Stanford Sentiment Treebank (Socher et al. 2013).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heedful.data import Example, Source, read_rows
from heedful.errors import DataError
from heedful.text.pieces import Span

RATIONALES, TREE = "rationales", "tree"
"""The columns."""
NEUTRAL = 2
"""The label of a phrase that says neither good nor bad."""
Floats = NDArray[np.float64]

_WORD = re.compile(r"\S+")
_PART = re.compile(r"\s*(?:\(([0-4])\s+([^()\s][^()]*)\)|\(([0-4])(?=[\s(])|\))")
"""A word with its label, the label of a phrase that begins, or the end of one."""


class Phrase(NamedTuple):
    """A part of a text that people judged."""

    start: int
    end: int
    """[start, end) in characters of the text."""
    label: int
    """From 0, very negative, to 4, very positive."""


@dataclass(frozen=True)
class Marks:
    """What people said of a text."""

    rationale: tuple[Span, ...] = ()
    """[start, end) in characters of the parts that its label was taken from."""
    phrases: tuple[Phrase, ...] = ()
    """Those below the root, words included."""


def read_marks(source: Source, examples: Sequence[Example]) -> list[Marks]:
    """What people said of examples of a source; nothing where it cannot be read twice.

    Raises:
        DataError: a rationale lies outside of its text, or a tree is malformed or of another text.
    """
    marks = dict.fromkeys(((example.file, example.row) for example in examples), Marks())
    if all(file.path for file in source.files):
        texts = {(example.file, example.row): example.text for example in examples}
        for row in read_rows(source):
            place = (row.file if len(source.files) > 1 else "", row.number)
            if place in texts:
                marks[place] = _marks(texts[place], row.values, row.place)
    return [marks[example.file, example.row] for example in examples]


def _marks(text: str, values: dict[str, Any], place: str) -> Marks:
    rationales, tree = values.get(RATIONALES), values.get(TREE)
    return Marks(
        () if rationales is None else tuple(_rationale(text, rationales, place)),
        () if tree is None else phrases_of(tree, text, place),
    )


def _rationale(text: str, parts: Any, place: str) -> Iterator[Span]:
    words = [match.span() for match in _WORD.finditer(text)]
    for part in parts if isinstance(parts, list) else [parts]:
        match part:
            case [int(start), int(end)] if 0 <= start < end <= len(words):
                yield words[start][0], words[end - 1][1]
            case _:
                raise DataError(
                    f"{place}: the rationale {part!r:.60} is no [start, end) in the {len(words)} words of the text",
                    remedy="Count the words that white space separates, from 0.",
                )


def phrases_of(tree: Any, text: str, place: str) -> tuple[Phrase, ...]:
    """The phrases below the root of a tree, in the order in which they end.

    Args:
        tree: such as ``(3 (2 a) (4 gem))``.
        text: that its words, one after the other, stand in.
        place: what to call it in a message.

    Raises:
        DataError: it is malformed, or of another text.
    """

    def fault(what: str) -> DataError:
        return DataError(f"{place}: the tree {tree!r:.60} {what}", remedy="Write it like (3 (2 a) (4 gem)).")

    if not isinstance(tree, str):
        raise fault("is no text")
    found: list[Phrase] = []
    opened: list[tuple[int, int]] = []
    """Of each phrase that has not ended: its label, and how many phrases had ended before it."""
    at = read = 0
    while at < len(tree.rstrip()):
        part = _PART.match(tree, at)
        label, word, outer = part.groups() if part else (None, None, None)
        if part is None or (found and not opened) or not (word or outer or (opened and opened[-1][1] < len(found))):
            raise fault(f"is malformed at character {at + 1}")
        at = part.end()
        if outer:
            opened.append((int(outer), len(found)))
        elif word and label:
            start = text.find(word.strip(), read)
            if start < 0 or text[read:start].strip():
                raise fault(f"is of another text: {word!r:.40} does not follow")
            read = start + len(word.strip())
            found.append(Phrase(start, read, int(label)))
        else:
            judged, first = opened.pop()
            found.append(Phrase(found[first].start, read, judged))
    if opened or not found:
        raise fault("does not end")
    if text[read:].strip():
        raise fault(f"is of another text: it lacks {text[read:].strip()!r:.40}")
    return tuple(found[:-1])


def rationale_agreement(scores: Floats, inside: NDArray[np.bool_]) -> tuple[float, float, float]:
    """How well the words that score highest are those of the rationale (DeYoung et al. 2020, section 4).

    Args:
        scores: (W,).
        inside: (W,), whether each word is in the rationale; at least one is.

    Returns:
        F1 of as many words as the rationale has; the area under precision and recall as more words are taken; F1 of
        the runs of the chosen words, of which one counts where it has at least half of the union with a run of the
        rationale.
    """
    size = int(inside.sum())
    chosen = np.zeros_like(inside)
    chosen[np.argsort(-scores, kind="stable")[:size]] = True
    return float((chosen & inside).sum()) / size, average_precision(scores, inside), _runs_f1(chosen, inside)


def average_precision(scores: Floats, inside: NDArray[np.bool_]) -> float:
    """Σ (recall - the recall before) · precision, from the highest score down; equal scores are taken together."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(inside[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return float((np.diff(hits[last], prepend=0) * hits[last] / (last + 1)).sum() / hits[-1])


def _runs_f1(chosen: NDArray[np.bool_], inside: NDArray[np.bool_]) -> float:
    """Two runs with half of their union in common have no other such partner: one count serves both sides."""
    ours, theirs = _runs(chosen), _runs(inside)
    matched = sum(
        2 * (min(end, stop) - max(start, begin)) >= max(end, stop) - min(start, begin)
        for start, end in ours
        for begin, stop in theirs
        if max(start, begin) < min(end, stop)
    )
    return 2 * matched / (len(ours) + len(theirs))


def _runs(flags: NDArray[np.bool_]) -> list[Span]:
    """[start, end) of each run of True."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def phrase_agreement(scores: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """How well scores of phrases order them as their labels do, for a classifier of sentiment.

    Args:
        scores: (P,), above 0 where a phrase speaks for something good.
        labels: (P,), from 0 to 4.

    Returns:
        Spearman's rank correlation, 0 where all scores are equal and NaN where all labels are; and of the phrases whose
        label is not neutral the share whose score has the label's sign, NaN where there is none.
    """
    leaning = labels != NEUTRAL
    signs = np.sign(scores[leaning]) == np.sign(labels[leaning] - NEUTRAL)
    agreed = float(signs.mean()) if leaning.any() else np.nan
    if len(set(labels.tolist())) < 2:
        return np.nan, agreed
    ranks, wanted = _ranks(scores), _ranks(labels)
    return (float(np.corrcoef(ranks, wanted)[0, 1]) if np.ptp(ranks) else 0.0), agreed


def _ranks(values: NDArray[Any]) -> Floats:
    """Ranks (P,); equal values have the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[place]
    return ranks


def polarities(labels: Sequence[str]) -> Floats:
    """1 for each label that ends in "positive", -1 in "negative", 0 for others, which no phrase speaks for; (C,)."""
    names = [label.lower() for label in labels]
    return np.array([name.endswith("positive") * 1.0 - name.endswith("negative") for name in names])
