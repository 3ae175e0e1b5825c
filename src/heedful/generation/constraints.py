"""Phrases that must appear in a text, and how far a text has come with them.

A phrase may have alternatives, of which one is enough: the tokens of a word differ between the beginning of a text and
its middle. Phrases are found in what is written from left to right, the longest one first, and no token counts for two
of them: whoever asks for "house" and "houseboat" gets both, and whoever asks for a phrase twice gets it twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from heedful.generation.settings import GenerationSettings, TokenIds

Phrases = tuple[TokenIds, ...]
"""Alternatives: one of them must appear; one that begins with ``TEXT_START`` at the beginning of the text only."""

TEXT_START = -1
"""Stands before the first token of a text, as if it were a token."""


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
        return self._read(tuple(range(len(self.alternatives))), (TEXT_START,))

    def after(self, progress: Progress, token: int) -> Progress:
        """With one token more."""
        return self._read(progress.unmet, (*progress.trail, token))

    def missing(self, progress: Progress) -> tuple[int, ...]:
        """The constraints that a text that ends here does not meet."""
        return self._read(progress.unmet, progress.trail, ends=True).unmet

    def needed(self, progress: Progress) -> int:
        """Tokens that must still be written at least; 0 if all constraints are met."""
        rest = self._cost(progress.unmet)
        begun = [
            rest - self._shortest[number] + len(phrase) - len(progress.trail)
            for number, phrase in self._beginning_with(progress.trail, progress.unmet)
        ]
        return min([self._cost(self.missing(progress)), *begun])

    def next_tokens(self, progress: Progress) -> list[int]:
        """Tokens that go on with a phrase or begin one."""
        length = len(progress.trail)
        begun = self._beginning_with(progress.trail, progress.unmet)
        tokens = {phrase[length] for _, phrase in begun if len(phrase) > length}
        tokens |= {phrase[0] for number in self.missing(progress) for phrase in self.alternatives[number]}
        return sorted(tokens - {TEXT_START})

    @cached_property
    def _shortest(self) -> tuple[int, ...]:
        """Tokens that each constraint takes at least."""
        return tuple(min(map(num_tokens, phrases)) for phrases in self.alternatives)

    @cached_property
    def _by_first(self) -> Mapping[int, Sequence[tuple[int, TokenIds]]]:
        """Each phrase, with the number of its constraint, by its first token: few phrases have any in common."""
        found: dict[int, list[tuple[int, TokenIds]]] = defaultdict(list)
        for number, phrases in enumerate(self.alternatives):
            for phrase in phrases:
                found[phrase[0]].append((number, phrase))
        return dict(found)

    def _cost(self, numbers: Sequence[int]) -> int:
        return sum(self._shortest[number] for number in numbers)

    def _beginning_with(self, tokens: TokenIds, unmet: Sequence[int]) -> list[tuple[int, TokenIds]]:
        """The phrases of unmet constraints that ``tokens`` are the beginning of; none for no tokens."""
        sharing = self._by_first.get(tokens[0], ()) if tokens else ()
        return [(number, phrase) for number, phrase in sharing if number in unmet and _begins(phrase, tokens)]

    def _read(self, unmet: tuple[int, ...], pending: TokenIds, *, ends: bool = False) -> Progress:
        """Find phrases in ``pending``; what may yet become one stays pending, unless the text ends."""
        while pending:
            if not ends and any(len(phrase) > len(pending) for _, phrase in self._beginning_with(pending, unmet)):
                break
            number, length = self._longest(unmet, pending)
            if number is not None:
                unmet = tuple(other for other in unmet if other != number)
            pending = pending[length:]
        return Progress(unmet, pending)

    def _longest(self, unmet: Sequence[int], pending: TokenIds) -> tuple[int | None, int]:
        """The constraint that the longest phrase at the beginning of ``pending`` meets, and the phrase's length.

        Of several the one that would take the most tokens otherwise, as :meth:`needed` counts on, then the one with the
        fewest alternatives; (None, 1) where no phrase stands there.
        """
        found = [
            (len(phrase), self._shortest[number], -len(self.alternatives[number]), -number)
            for number, phrase in self._by_first.get(pending[0], ())
            if number in unmet and _begins(pending, phrase)
        ]
        if not found:
            return None, 1
        length, *_, number = max(found)
        return -number, length


def num_tokens(phrase: TokenIds) -> int:
    """Tokens that a phrase adds to a text."""
    return len(phrase) - (phrase[0] == TEXT_START)


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
        length = min(map(num_tokens, allowed), default=room + 1)
        if length <= room:
            kept[number] = allowed
            room -= length
    return kept


def _begins(tokens: TokenIds, beginning: TokenIds) -> bool:
    return tokens[: len(beginning)] == beginning


def _holds(tokens: TokenIds, part: TokenIds) -> bool:
    return any(tokens[start : start + len(part)] == part for start in range(len(tokens) - len(part) + 1))
