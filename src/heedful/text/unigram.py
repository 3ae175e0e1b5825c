"""Training the vocabulary of a Unigram tokenizer.

Kudo, "Subword Regularization" (2018), section 3.2: start from the frequent substrings, then in turns estimate
their probabilities by expectation maximisation and drop those whose absence costs the least likelihood.

This stands in for the trainer of the ``tokenizers`` library, whose result changes from run to run, which fails
where the alphabet is larger than the vocabulary, and which takes several times as long on text without spaces.

Legend of the shapes: N characters of all distinct words, V pieces, P longest piece, W words of one length L.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, groupby

import numpy as np
from numpy.typing import NDArray

MAX_PIECE = 16
"""P, characters of the longest piece."""
MAX_WORD = 64
"""Characters of a word; longer ones, such as sentences without spaces, are learnt from in parts."""
MAX_CHARACTERS = 4_000_000
"""Of all distinct words; the most frequent words are learnt from."""

_SEEDS_PER_PIECE = 12
_KEPT_IN_A_ROUND = 0.6
_STEPS_IN_A_ROUND = 2
_LEAST_EXPECTED = 0.5
"""A piece that is expected to occur less often than this is dropped at once."""
_LEAST_EXPECTED_CHARACTER = 0.1
"""Characters that never stand alone count as this often, so that they stay possible."""
_BLOCK_CHARACTERS = 1 << 17

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Words:
    """Distinct words, the shorter first, as one long row of characters."""

    codes: Ints
    """(N,) number of each character in the alphabet."""
    remaining: Ints
    """(N,) characters from each one to the end of its word."""
    counts: Floats
    """(N,) how often the word occurs that each character belongs to."""


@dataclass(frozen=True)
class _Pieces:
    """Substrings of the words; the characters of the alphabet come first."""

    first: Ints
    """(V,) where in the row of characters each piece is found."""
    length: Ints
    """(V,) characters of each piece."""
    counts: Floats
    """(V,) how often each occurs."""
    ends: NDArray[np.int32]
    """(N, P) the piece of 1 to P characters that ends with each character, V where there is none."""


def train_unigram(words: Mapping[str, int], alphabet: Collection[str], size: int) -> list[tuple[str, float]]:
    """Learn ``size`` pieces, or as many as the words give, with their log-probabilities.

    Args:
        words: words with their counts; no piece crosses the border of a word.
        alphabet: the characters to learn, each of them a piece; any other character ends a word.

    Returns:
        The pieces, the most probable first; the same for the same arguments.
    """
    characters = sorted(alphabet)
    parts = _parts(words, set(characters))
    if not parts:
        return [(character, 0.0) for character in characters]
    row = _row(parts, {character: number for number, character in enumerate(characters)})
    pieces = _seeds(row, len(characters), limit=_SEEDS_PER_PIECE * size)
    scores = _estimate(pieces, _blocks(row, pieces.ends), len(characters), size)
    longer = zip(pieces.first[len(characters) :], pieces.length[len(characters) :], strict=True)
    texts = characters + ["".join(characters[code] for code in row.codes[start : start + n]) for start, n in longer]
    learnt = [(text, round(score, 4)) for text, score in zip(texts, scores.tolist(), strict=True) if score > -np.inf]
    return sorted(learnt, key=lambda piece: (-piece[1], piece[0]))


def _parts(words: Mapping[str, int], alphabet: set[str]) -> list[tuple[str, int]]:
    """Words cut at characters outside the alphabet and at ``MAX_WORD``, with counts, the shorter first."""
    parts: Counter[str] = Counter()
    for word, count in words.items():
        known = word if alphabet.issuperset(word) else "".join(c if c in alphabet else "\0" for c in word)
        for run in known.split("\0"):
            for start in range(0, len(run), MAX_WORD):
                parts[run[start : start + MAX_WORD]] += count
    frequent = sorted(parts.items(), key=lambda part: (-part[1], part[0]))
    sizes = accumulate(len(part) for part, _ in frequent)
    kept = [part for part, size in zip(frequent, sizes, strict=True) if size <= MAX_CHARACTERS]
    return sorted(kept, key=lambda part: (len(part[0]), part[0]))


def _row(parts: list[tuple[str, int]], code_of: Mapping[str, int]) -> _Words:
    lengths = np.array([len(part) for part, _ in parts])
    codes = np.array([code_of[character] for part, _ in parts for character in part], dtype=np.int64)
    ends = np.repeat(np.cumsum(lengths), lengths)
    counts = np.repeat(np.array([count for _, count in parts], dtype=np.float64), lengths)
    return _Words(codes, ends - np.arange(len(codes)), counts)


def _seeds(row: _Words, num_characters: int, limit: int) -> _Pieces:
    """The characters, and the ``limit`` substrings that cover most text among those that occur twice."""
    levels = [_characters(row, num_characters), *_substrings(row, num_characters)]
    counts = np.concatenate([level.counts for level in levels])
    lengths = np.repeat(np.arange(1, len(levels) + 1), [len(level.counts) for level in levels])
    covered = counts * lengths
    covered[:num_characters] = np.inf
    chosen = np.zeros(len(counts), dtype=np.bool_)
    chosen[np.argsort(-covered, kind="stable")[: num_characters + limit]] = True
    none = int(chosen.sum())
    number = np.where(chosen, np.cumsum(chosen) - 1, none)
    ends = np.full((len(row.codes), MAX_PIECE), none, dtype=np.int32)
    offsets = accumulate((len(level.counts) for level in levels), initial=0)
    for length, (level, offset) in enumerate(zip(levels, offsets, strict=False), 1):
        ends[level.starts + length - 1, length - 1] = number[offset + level.numbers]
    first = np.concatenate([level.first for level in levels])
    return _Pieces(first[chosen], lengths[chosen], counts[chosen], ends)


@dataclass(frozen=True)
class _Level:
    """The distinct substrings of one length."""

    first: Ints
    """Where each is found first."""
    counts: Floats
    """How often each occurs."""
    starts: Ints
    """Where any of them starts."""
    numbers: Ints
    """Which of them starts there."""


def _characters(row: _Words, num_characters: int) -> _Level:
    first = np.zeros(num_characters, dtype=np.int64)
    positions = np.arange(len(row.codes))
    first[row.codes[::-1]] = positions[::-1]
    counts = np.bincount(row.codes, row.counts, num_characters).astype(np.float64)
    return _Level(first, counts, positions, row.codes)


def _substrings(row: _Words, num_characters: int) -> Iterator[_Level]:
    """For each length from 2 on, the substrings that occur twice: each extends one of the length before."""
    starts, numbers = np.arange(len(row.codes)), row.codes
    for length in range(2, MAX_PIECE + 1):
        whole = row.remaining[starts] >= length
        starts, numbers = starts[whole], numbers[whole]
        keys = numbers * num_characters + row.codes[starts + length - 1]
        distinct, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
        counts = np.bincount(numbers, row.counts[starts], len(distinct)).astype(np.float64)
        twice = counts >= 2
        level_first, renumbered = starts[first[twice]], np.cumsum(twice) - 1
        kept = twice[numbers]
        starts, numbers = starts[kept], renumbered[numbers[kept]]
        yield _Level(level_first, counts[twice], starts, numbers)


@dataclass(frozen=True)
class _Block:
    """Words of one length."""

    counts: Floats
    """(W,) how often each occurs."""
    ends: NDArray[np.int32]
    """(W, L, P) as in :class:`_Pieces`."""


def _blocks(row: _Words, ends: NDArray[np.int32]) -> list[_Block]:
    starts = np.flatnonzero(np.append(1, np.diff(row.remaining)) != -1)
    blocks = []
    for length, group in groupby(starts.tolist(), key=lambda start: int(row.remaining[start])):
        words = list(group)
        step = max(1, _BLOCK_CHARACTERS // length)
        for some in (words[index : index + step] for index in range(0, len(words), step)):
            rows = slice(some[0], some[-1] + length)
            blocks.append(_Block(row.counts[some], ends[rows].reshape(len(some), length, MAX_PIECE)))
    return blocks


def _estimate(pieces: _Pieces, blocks: list[_Block], num_characters: int, size: int) -> Floats:
    """Log-probabilities (V,) of the ``size`` best pieces, -inf for the others."""
    is_character = np.arange(len(pieces.first)) < num_characters
    alive = np.ones(len(pieces.first), dtype=np.bool_)
    scores = _log_probabilities(pieces.counts * pieces.length, alive, is_character)
    while True:
        for _ in range(_STEPS_IN_A_ROUND):
            expected = _expected_counts(blocks, scores)
            alive &= (expected >= _LEAST_EXPECTED) | is_character
            scores = _log_probabilities(expected, alive, is_character)
        if alive.sum() <= max(size, num_characters):
            return scores
        loss = np.full(len(alive), -np.inf)
        loss[alive] = expected[alive] * (scores - _score_without(pieces, scores))[alive]
        loss[is_character] = np.inf
        kept = max(size, int(alive.sum() * _KEPT_IN_A_ROUND))
        alive[np.argsort(-loss, kind="stable")[kept:]] = False
        scores = _log_probabilities(expected, alive, is_character)


def _log_probabilities(counts: Floats, alive: NDArray[np.bool_], is_character: NDArray[np.bool_]) -> Floats:
    counts = np.where(is_character, np.maximum(counts, _LEAST_EXPECTED_CHARACTER), np.where(alive, counts, 0))
    with np.errstate(divide="ignore"):
        scores: Floats = np.log(counts) - np.log(counts.sum())
    return scores


def _expected_counts(blocks: list[_Block], scores: Floats) -> Floats:
    """How often each piece (V,) is expected, over all segmentations of all words: forward and backward."""
    padded = np.append(scores, -np.inf)  # no piece is never chosen
    expected = np.zeros(len(padded))
    for block in blocks:
        num_words, length, _ = block.ends.shape
        # Column P - 1 + t belongs to position t, so that the P columns before any position exist.
        forward = np.full((num_words, MAX_PIECE + length), -np.inf)
        forward[:, MAX_PIECE - 1] = 0
        for position in range(length):
            paths = forward[:, position : position + MAX_PIECE][:, ::-1] + padded[block.ends[:, position]]
            best = paths.max(1, keepdims=True)
            forward[:, MAX_PIECE + position] = best[:, 0] + np.log(np.exp(paths - best).sum(1))
        backward = np.full((num_words, MAX_PIECE + length), -np.inf)
        backward[:, -1] = 0
        total = forward[:, -1:]
        for position in reversed(range(length)):
            before = slice(position, position + MAX_PIECE)
            ending = padded[block.ends[:, position]] + backward[:, MAX_PIECE + position, None]
            share = np.exp(forward[:, before][:, ::-1] + ending - total) * block.counts[:, None]
            expected += np.bincount(block.ends[:, position].ravel(), share.ravel(), len(padded))
            reached = backward[:, before][:, ::-1]
            np.logaddexp(reached, ending, out=reached)
    return expected[:-1]


def _score_without(pieces: _Pieces, scores: Floats) -> Floats:
    """Log-probability (V,) of each piece's best segmentation into other pieces; -inf for characters."""
    padded = np.append(scores, -np.inf)
    without = np.full(len(scores), -np.inf)
    for length in range(2, MAX_PIECE + 1):
        of_length = np.flatnonzero(pieces.length == length)
        best = np.full((len(of_length), length + 1), -np.inf)
        best[:, 0] = 0
        for position in range(length):
            inner = padded[pieces.ends[pieces.first[of_length] + position, : min(position + 1, length - 1)]]
            paths = best[:, position + 1 - inner.shape[1] : position + 1][:, ::-1] + inner
            best[:, position + 1] = paths.max(1)
        without[of_length] = best[:, length]
    return without
