"""Phrases that must appear in a text, and how far a text has come with them.

A phrase may have alternatives, of which one is enough: the tokens of a word differ between the beginning of a text and
its middle. Phrases are found in what is written from left to right, the longest one first, and no token counts for two
of them: whoever asks for "house" and "houseboat" gets both, and whoever asks for a phrase twice gets it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heedful.generation.settings import GenerationSettings, TokenIds

Phrases = tuple[TokenIds, ...]
"""Alternatives: one of them must appear."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a text has come."""

    unmet: tuple[int, ...]
    """Constraints that are still to be met, by number."""
    trail: TokenIds = ()
    """The last tokens of the text, where a phrase of an unmet constraint begins with them."""


@dataclass(frozen=True)
class Constraints:
    """What must appear in a text: of each entry, one of its phrases."""

    alternatives: tuple[Phrases, ...]

    @property
    def start(self) -> Progress:
        """Of an empty text."""
        return Progress(tuple(range(len(self.alternatives))))

    def after(self, progress: Progress, token: int) -> Progress:
        """With one token more."""
        return self._read(progress.unmet, (*progress.trail, token))

    def missing(self, progress: Progress) -> tuple[int, ...]:
        """The constraints that a text that ends here does not meet."""
        return self._read(progress.unmet, progress.trail, ends=True).unmet

    def needed(self, progress: Progress) -> int:
        """Tokens that must still be written at least; 0 if all constraints are met."""
        costs = [self._cost(self.missing(progress))]
        if progress.trail:
            rest = self._cost(progress.unmet)
            costs += [
                rest - self._cost((number,)) + len(phrase) - len(progress.trail)
                for number in progress.unmet
                for phrase in self.alternatives[number]
                if _begins(phrase, progress.trail)
            ]
        return min(costs)

    def next_tokens(self, progress: Progress) -> list[int]:
        """Tokens that go on with a phrase or begin one."""
        length = len(progress.trail)
        tokens = {
            phrase[length]
            for number in progress.unmet
            for phrase in self.alternatives[number]
            if len(phrase) > length and _begins(phrase, progress.trail)
        }
        tokens |= {phrase[0] for number in self.missing(progress) for phrase in self.alternatives[number]}
        return sorted(tokens)

    def _cost(self, numbers: Sequence[int]) -> int:
        return sum(min(map(len, self.alternatives[number])) for number in numbers)

    def _read(self, unmet: tuple[int, ...], pending: TokenIds, *, ends: bool = False) -> Progress:
        """Find phrases in ``pending``; what may yet become one stays pending, unless the text ends."""
        while pending:
            if not ends and any(
                len(phrase) > len(pending) and _begins(phrase, pending)
                for number in unmet
                for phrase in self.alternatives[number]
            ):
                break
            number, length = self._longest(unmet, pending)
            if number is not None:
                unmet = tuple(other for other in unmet if other != number)
            pending = pending[length:]
        return Progress(unmet, pending)

    def _longest(self, unmet: Sequence[int], pending: TokenIds) -> tuple[int | None, int]:
        """The constraint that the longest phrase at the beginning of ``pending`` meets, and the phrase's length.

        Of several the one with the fewest alternatives; (None, 1) where no phrase stands there.
        """
        found = [
            (len(phrase), -len(self.alternatives[number]), -number)
            for number in unmet
            for phrase in self.alternatives[number]
            if _begins(pending, phrase)
        ]
        if not found:
            return None, 1
        length, _, number = max(found)
        return -number, length


def possible(constraints: Sequence[Phrases], settings: GenerationSettings) -> dict[int, Phrases]:
    """The constraints that ``settings`` leave room for, by number, each with the phrases that may be written.

    A phrase is impossible if it holds a token that ends the text, or tokens that must not be written; and the last
    constraints are given up where all together are longer than ``max_new_tokens``.
    """
    never = {*settings.suppress_tokens, *settings.eos_token_id}
    room = settings.max_new_tokens - (settings.forced_bos_token_id is not None)
    kept: dict[int, Phrases] = {}
    for number, phrases in enumerate(constraints):
        allowed = tuple(
            phrase
            for phrase in phrases
            if phrase
            and never.isdisjoint(phrase)
            and not any(_holds(phrase, banned) for banned in settings.bad_words_ids)
        )
        length = min(map(len, allowed), default=room + 1)
        if length <= room:
            kept[number] = allowed
            room -= length
    return kept


def _begins(tokens: TokenIds, beginning: TokenIds) -> bool:
    return tokens[: len(beginning)] == beginning


def _holds(tokens: TokenIds, part: TokenIds) -> bool:
    return any(tokens[start : start + len(part)] == part for start in range(len(tokens) - len(part) + 1))
