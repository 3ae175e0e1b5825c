"""Which sentences say what a text is about."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heedful.scripts import UNSPACED

_WORD = re.compile(rf"{UNSPACED.pattern}|\w+")
_DAMPING = 0.85
_TOLERANCE = 1e-9
_MAX_STEPS = 200


def centrality(sentences: Sequence[str]) -> NDArray[np.float64]:
    """How central each of N sentences is, float64 (N,), in all 1.

    The stationary distribution of a walk from sentence to sentence, which likes to go where words are shared: TextRank
    (Mihalcea and Tarau 2004) over the cosines of tf-idf vectors, as continuous LexRank has it (Erkan and Radev 2004,
    section 3.3). Time and memory grow with the number of words, not with the square of the number of sentences.
    """
    count = len(sentences)
    if not count:
        return np.zeros(0)
    rows, columns, values = _unit_vectors(sentences)
    width = int(columns.max(initial=-1)) + 1

    def similar(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each sentence gets of the others, by its cosine with each."""
        words = np.bincount(columns, values * weights[rows], minlength=width)
        return np.maximum(np.bincount(rows, values * words[columns], minlength=count) - has_words * weights, 0.0)

    has_words = (np.bincount(rows, minlength=count) > 0).astype(np.float64)
    degrees = similar(np.ones(count))
    is_linked = degrees > _TOLERANCE
    ranks = np.full(count, 1 / count)
    for _ in range(_MAX_STEPS):
        # Who shares no word with anybody walks on to anywhere.
        lost = ranks[~is_linked].sum() / count
        shares = np.divide(ranks, degrees, out=np.zeros(count), where=is_linked)
        moved = (1 - _DAMPING) / count + _DAMPING * (similar(shares) + lost)
        change = np.abs(moved - ranks).sum()
        ranks = moved / moved.sum()
        if change < _TOLERANCE:
            break
    return ranks


def _unit_vectors(sentences: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The tf-idf vectors of sentences, each of length 1, as (sentence, word, value) of what is not 0."""
    numbers: dict[str, int] = {}
    pairs = [
        (row, numbers.setdefault(word, len(numbers)))
        for row, sentence in enumerate(sentences)
        for word in _WORD.findall(sentence.casefold())
    ]
    cells, frequencies = np.unique(np.array(pairs, dtype=np.int64).reshape(-1, 2), axis=0, return_counts=True)
    rows, columns = cells[:, 0], cells[:, 1]
    in_sentences = np.bincount(columns, minlength=len(numbers))
    values = frequencies * np.log((1 + len(sentences)) / in_sentences[columns])
    lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(sentences)))
    return rows, columns, values / lengths[rows]
