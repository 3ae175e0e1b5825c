"""Subword regularisation: another segmentation of the same text at each pass over the training data.

Where the tokenizer's rule would use a piece longer than a character, that piece is unavailable with probability
``dropout``, and the rule goes on with what is left. For BPE these are merges, drawn anew at every step
(BPE-dropout, Provilkov et al. 2020, algorithm 1), for WordPiece entries of the vocabulary (MaxMatch-Dropout,
Hiraoka 2022), for Unigram edges of the lattice. The ``tokenizers`` library samples too, but its random numbers
cannot be seeded, and a run that cannot be repeated cannot be resumed exactly either.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

import tokenizers as hf

from heedful.errors import UnsupportedError

Piece = tuple[str, str]
"""What a piece is called in the vocabulary, and the characters of the word that it covers."""
Drop = Callable[[], bool]
"""Whether a piece is to be dropped."""
Segment = Callable[[str, Drop | None], list[Piece]]
"""Cuts a word, and asks once for each longer piece that it would use; without what to ask, none is dropped."""

MAX_REMEMBERED_WORD = 24
"""Characters of words whose cuts are remembered: longer ones hardly come twice in the same way."""
MAX_REMEMBERED = 200_000
"""Cuts that are remembered at a time."""
MAX_WORD = 256
"""Symbols that BPE merges at random at once: drawing anew at every step takes time with the square of them."""


class SubwordSampler:
    """Tokenizes as a trained tokenizer does, but for pieces that are dropped at random."""

    def __init__(self, backend: hf.Tokenizer) -> None:
        """Raises UnsupportedError where the tokenizer cannot write a text in more than one way."""
        model = json.loads(backend.to_str())["model"]
        variants = ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
        unknown_variant = model["type"] != "WordPiece" and any(model.get(key) for key in variants)
        if model["type"] not in _SEGMENTERS or unknown_variant:
            raise UnsupportedError(
                "this tokenizer cannot write a text in more than one way, so dropout has nothing to drop",
                remedy="Set the dropout of the tokenizer to 0, or train one of kind bpe, unigram or wordpiece.",
            )
        self._backend = backend
        self._ids = backend.get_vocab()
        self._segment: Segment = _SEGMENTERS[model["type"]](model)
        self._draw = _Draws(self._tokens)

    def encode(
        self, text: str, pair: str | None, dropout: float, random: Random, *, special: bool = True
    ) -> hf.Encoding:
        """Tokenize a text, or a pair of texts, with special tokens unless told otherwise."""
        first = self._encode_one(text, dropout, random)
        second = None if pair is None else self._encode_one(pair, dropout, random)
        return self._backend.post_process(first, second, special)

    def _encode_one(self, text: str, dropout: float, random: Random) -> hf.Encoding:
        words = hf.PreTokenizedString(text)
        if self._backend.normalizer is not None:
            words.normalize(self._backend.normalizer.normalize)
        if self._backend.pre_tokenizer is not None:
            self._backend.pre_tokenizer.pre_tokenize(words)
        words.tokenize(partial(self._draw, dropout=dropout, random=random))
        return words.to_encoding()

    def _tokens(self, word: str, drop: Drop | None) -> list[hf.Token]:
        tokens, start = [], 0
        for name, covered in self._segment(word, drop):
            end = start + len(covered.encode())
            tokens.append(hf.Token(self._ids[name], name, (start, end)))
            start = end
        return tokens


class _Draws:
    """Draws the tokens of words; what follows from the same answers for the same word is computed once.

    Words of natural texts recur, and most have few pieces to drop, so most draws are looked up: for each word a binary
    tree over the answers, with tokens at its leaves. The random numbers that are drawn are the same as without.
    """

    def __init__(self, tokens: Callable[[str, Drop | None], list[hf.Token]]) -> None:
        self._tokens = tokens
        self._trees: dict[str, Any] = {}
        self._leaves = 0

    def __call__(self, word: str, dropout: float, random: Random) -> list[hf.Token]:
        """The tokens of ``word``, with each longer piece dropped with probability ``dropout``."""
        if not dropout:
            return self._tokens(word, None)
        node = self._trees.get(word)
        answers: list[bool] = []
        while type(node) is dict:
            answers.append(random.random() < dropout)
            node = node.get(answers[-1])
        if node is None:
            given = iter(tuple(answers))

            def drop() -> bool:
                answer = next(given, None)
                if answer is None:
                    answer = random.random() < dropout
                    answers.append(answer)
                return answer

            node = self._tokens(word, drop)
            if len(word) <= MAX_REMEMBERED_WORD:
                self._remember([word, *answers], node)
        tokens: list[hf.Token] = node
        return tokens

    def _remember(self, path: list[Any], tokens: list[hf.Token]) -> None:
        if self._leaves >= MAX_REMEMBERED:
            self._trees.clear()
            self._leaves = 0
        self._leaves += 1
        place: dict[Any, Any] = self._trees
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = tokens


def _bpe(model: Mapping[str, Any]) -> Segment:
    ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}

    def segment(word: str, drop: Drop | None) -> list[Piece]:
        if drop and len(word) > MAX_WORD:
            parts = (word[start : start + MAX_WORD] for start in range(0, len(word), MAX_WORD))
            return [piece for part in parts for piece in segment(part, drop)]
        symbols = list(word)
        following = list(range(1, len(word) + 1))
        preceding = list(range(-1, len(word) - 1))
        merges: list[tuple[int, int, str, str]] = []
        dropped: list[tuple[int, int, str, str]] = []

        def consider(left: int) -> None:
            right = following[left] if left >= 0 else len(symbols)
            if right < len(symbols):
                rank = ranks.get((symbols[left], symbols[right]))
                if rank is not None:
                    heapq.heappush(merges, (rank, left, symbols[left], symbols[right]))

        for place in range(len(symbols)):
            consider(place)
        while merges:
            merge = heapq.heappop(merges)
            _, left, first, second = merge
            right = following[left]
            if symbols[left] != first or right >= len(symbols) or symbols[right] != second:
                continue  # one of the two has been merged away since
            if drop and drop():
                dropped.append(merge)
                continue
            while dropped:
                heapq.heappush(merges, dropped.pop())
            symbols[left], symbols[right] = first + second, ""
            following[left] = following[right]
            if following[left] < len(symbols):
                preceding[following[left]] = left
            consider(left)
            consider(preceding[left])
        return [(symbol, symbol) for symbol in symbols if symbol]

    return segment


def _wordpiece(model: Mapping[str, Any]) -> Segment:
    vocabulary, prefix = model["vocab"], model["continuing_subword_prefix"]
    longest = max(map(len, vocabulary))

    def segment(word: str, drop: Drop | None) -> list[Piece]:
        unknown = [(model["unk_token"], word)]
        if len(word) > model["max_input_chars_per_word"]:
            return unknown
        pieces: list[Piece] = []
        start = 0
        while start < len(word):
            for end in range(min(len(word), start + longest), start, -1):
                name = prefix * (start > 0) + word[start:end]
                if name in vocabulary and (end - start == 1 or not (drop and drop())):
                    pieces.append((name, word[start:end]))
                    start = end
                    break
            else:
                return unknown
        return pieces

    return segment


def _unigram(model: Mapping[str, Any]) -> Segment:
    scores: dict[str, float] = dict(model["vocab"])
    unk = model["vocab"][model["unk_id"]][0]
    unk_score = min(scores.values()) - 10.0  # as in the library, and in SentencePiece
    longest = max(map(len, scores))

    def segment(word: str, drop: Drop | None) -> list[Piece]:
        best = [0.0]
        starts = [0]
        for end in range(1, len(word) + 1):
            score, chosen = -float("inf"), end - 1
            for start in range(max(0, end - longest), end):
                name = word[start:end]
                if end - start == 1:
                    path = best[start] + scores.get(name, unk_score)
                elif name in scores and not (drop and drop()):
                    path = best[start] + scores[name]
                else:
                    continue
                if path > score:
                    score, chosen = path, start
            best.append(score)
            starts.append(chosen)
        pieces: list[Piece] = []
        end = len(word)
        while end:
            covered = word[starts[end] : end]
            name = covered if covered in scores else unk
            if name == unk and pieces and pieces[-1][0] == unk:
                covered += pieces.pop()[1]
            pieces.append((name, covered))
            end = starts[end]
        return pieces[::-1]

    return segment


_SEGMENTERS: dict[str, Callable[[Mapping[str, Any]], Segment]] = {
    "BPE": _bpe,
    "WordPiece": _wordpiece,
    "Unigram": _unigram,
}
