"""IBM model 1 (Brown et al. 1993, section 4.2): which token of a source a token of its translation stands for.

C cells, pairs of a source token and a target token of the same text; it learns from nothing but such texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

ITERATIONS = 8
"""Of expectation maximisation."""
MAX_CELLS = 4_000_000
"""Texts beyond so many cells are left out."""
_NOTHING = -1
"""Stands in each source for what a target token owes to no other."""

Pair = tuple[Sequence[int], Sequence[int]]
"""Tokens of a source and of its translation."""
Links = list[tuple[int, int]]
"""(place in the source, place in the target)."""


def sure_links(pairs: Sequence[Pair]) -> list[Links]:
    """Links that two models, one for each direction, agree upon, for as many of ``pairs`` as there is room for.

    Only tokens that stand once in their text are linked: the model knows no places.
    """
    cells = accumulate((len(source) + 1) * (len(target) + 1) for source, target in pairs)
    kept = [pair for pair, total in zip(pairs, cells, strict=True) if total <= MAX_CELLS]
    forward = _likeliest(kept)
    backward = _likeliest([(target, source) for source, target in kept])
    return [_agreed(pair, there, back) for pair, there, back in zip(kept, forward, backward, strict=True)]


def _agreed(pair: Pair, forward: NDArray[np.int64], backward: NDArray[np.int64]) -> Links:
    source, target = (list(tokens) for tokens in pair)
    return [
        (int(linked), place)
        for place, linked in enumerate(forward)
        if linked != _NOTHING
        and backward[linked] == place
        and source.count(source[linked]) == 1
        and target.count(target[place]) == 1
    ]


def _likeliest(pairs: Sequence[Pair]) -> list[NDArray[np.int64]]:
    """For each pair the place in the source (T,) that each target token most likely stands for, or ``_NOTHING``."""
    if not pairs:
        return []
    sources = [np.array([_NOTHING, *source], dtype=np.int64) for source, _ in pairs]
    targets = [np.array(target, dtype=np.int64) for _, target in pairs]
    from_token = np.concatenate([np.tile(s, len(t)) for s, t in zip(sources, targets, strict=True)])
    to_token = np.concatenate([np.repeat(t, len(s)) for s, t in zip(sources, targets, strict=True)])
    widths = np.concatenate([np.full(len(t), len(s)) for s, t in zip(sources, targets, strict=True)])
    token = np.repeat(np.arange(len(widths)), widths)  # which target token of all texts a cell belongs to
    size = int(to_token.max(initial=0)) + 1
    kinds, kind = np.unique((from_token - _NOTHING) * size + to_token, return_inverse=True)
    giver = kinds // size
    probability = np.ones(len(kinds))
    for _ in range(ITERATIONS):
        share = probability[kind]
        share /= np.bincount(token, share)[token]
        counts = np.bincount(kind, share)
        probability = counts / np.bincount(giver, counts)[giver]
    return _argmax(probability[kind], [(len(s), len(t)) for s, t in zip(sources, targets, strict=True)])


def _argmax(scores: NDArray[np.float64], shapes: Sequence[tuple[int, int]]) -> list[NDArray[np.int64]]:
    """The best source place of each target token, the one that stands for nothing being ``_NOTHING``."""
    ends = np.cumsum([width * length for width, length in shapes])
    parts = np.split(scores, ends[:-1])
    return [part.reshape(length, width).argmax(axis=1) - 1 for part, (width, length) in zip(parts, shapes, strict=True)]
