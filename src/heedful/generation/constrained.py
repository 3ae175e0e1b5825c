"""Beam search with phrases that must appear: dynamic beam allocation (Post and Vilar 2018, Hu et al. 2019).

Every beam is offered its best token and the tokens that bring it nearer to its phrases, besides the best candidates of
all. Candidates that need the same number of tokens form a bank, and the banks take turns: the best candidate of each,
then the second of each, and so on. So one beam at least comes a token nearer to meeting everything at each step, and
phrases find their place by what the model thinks of the whole text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from heedful.errors import RequestError
from heedful.generation.constraints import Constraints, Phrases, Progress, num_tokens, possible
from heedful.generation.search import WORST, Beam, BeamSearch, Candidate, Hypothesis
from heedful.generation.settings import MAX_BEAMS, GenerationSettings

MIN_BEAMS = 4
"""Of a text with phrases: two banks of two, where one token must appear."""


class ConstrainedSearch(BeamSearch):
    """The K best beginnings of texts in which phrases must appear.

    What cannot be met is given up at once where the settings rule it out, and otherwise when ``max_new_tokens`` are
    written; the texts that miss the fewest phrases are then the best ones. The search goes on while a better text seems
    possible, whatever ``early_stopping`` says of stopping at the first K.
    """

    def __init__(self, settings: GenerationSettings, constraints: Sequence[Phrases]) -> None:
        """Raises RequestError if tokens are to be drawn, or there is one beam only."""
        super().__init__(settings)
        if settings.do_sample:
            raise RequestError(
                "phrases that must appear are searched for, and do_sample draws instead",
                remedy="Leave out do_sample, or the constraints.",
            )
        if settings.num_beams == 1:
            raise RequestError("phrases that must appear need 2 beams at least, num_beams is 1")
        kept = possible(constraints, settings)
        self._numbers = list(kept)
        self._impossible = tuple(number for number in range(len(constraints)) if number not in kept)
        self._constraints = Constraints(tuple(kept.values()))
        self._progress = [self._constraints.start] * settings.num_beams
        self._kept: list[tuple[tuple[int, bool, float], Beam, tuple[int, ...]]] = []
        """Complete texts, best first: how many phrases are missing, whether the text sought them to the last, minus the
        score; the text; what is missing."""

    @property
    def wanted(self) -> list[list[int]]:
        """As :attr:`Search.wanted`."""
        return [
            self._constraints.next_tokens(progress) if beam.score > WORST else []
            for beam, progress in zip(self.beams, self._progress, strict=True)
        ]

    def advance(self, candidates: Iterable[Candidate]) -> list[int]:
        """As :meth:`Search.advance`."""
        banks: dict[int, list[tuple[Candidate, Progress]]] = defaultdict(list)
        for candidate in candidates:
            if candidate.score <= WORST:
                continue
            progress = self._progress[candidate.beam]
            if self.beams[candidate.beam].tokens or self.settings.forced_bos_token_id is None:
                progress = self._constraints.after(
                    progress, candidate.token
                )  # a forced first token is none of the text
            if self._ends(candidate):
                self._keep_with(self.beams[candidate.beam].extended(candidate), self._constraints.missing(progress))
            else:
                banks[self._constraints.needed(progress)].append((candidate, progress))
        turns = [
            (turn, bank, candidate, progress)
            for bank, members in banks.items()
            for turn, (candidate, progress) in enumerate(members)
        ]
        chosen = sorted(turns, key=lambda entry: entry[:2])[: self.settings.num_beams]
        chosen.sort(key=lambda entry: -entry[2].score)
        self._progress = [progress for *_, progress in chosen]
        self._progress += self._progress[-1:] * (self.settings.num_beams - len(chosen))
        followed = self._go_on([candidate for _, _, candidate, _ in chosen])
        worst = self._kept[-1] if len(self._kept) == self.settings.num_return_sequences else None
        if followed and worst is not None and not worst[2]:
            self.done = not self._may_gain(-worst[0][-1])
        return followed

    def _keep_with(self, beam: Beam, missing: tuple[int, ...]) -> None:
        score = self.settings.normalised(beam.score, len(beam.tokens))
        is_late = bool(missing) and beam.tokens[-1] not in self.settings.eos_token_id
        self._kept.append(((len(missing), is_late, -score), beam, missing))
        self._kept.sort(key=lambda entry: entry[0])
        del self._kept[self.settings.num_return_sequences :]

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """The complete texts, best first."""
        return [
            self._complete(beam, tuple(sorted([*self._impossible, *(self._numbers[number] for number in missing)])))
            for _, beam, missing in self._kept
        ]


def widened(settings: GenerationSettings, constraints: Sequence[Phrases]) -> GenerationSettings:
    """The settings with as many beams as the phrases need: one more than they have tokens, and MIN_BEAMS at least.

    The number is rounded up to a power of two, so that texts with different phrases can be written side by side, and
    ends at the most that settings allow.
    """
    if not constraints:
        return settings
    tokens = sum(min(map(num_tokens, phrases)) for phrases in possible(constraints, settings).values())
    width = min(MAX_BEAMS, max(MIN_BEAMS, 1 << tokens.bit_length()))
    return settings.model_copy(update={"num_beams": max(settings.num_beams, width)})
