"""Search: which of the candidates go on, and when a text is complete. One object a text, plain numbers only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from heedful.generation.settings import GenerationSettings

WORST = -1e9
"""The score of what is no hypothesis, as upstream has it."""


@dataclass(frozen=True)
class Hypothesis:
    """A generated text."""

    tokens: tuple[int, ...]
    """What was generated after the prompt, the end token included."""
    score: float
    """Sum of the log-probabilities, normalised by length as the settings say."""
    log_probabilities: tuple[float, ...] = ()
    """Of each token, after the rules."""
    unmet: tuple[int, ...] = ()
    """Numbers of the constraints that the text does not meet."""


class Candidate(NamedTuple):
    """A token that a beam could write next."""

    score: float
    """Sum of the log-probabilities with it."""
    beam: int
    token: int


@dataclass
class Beam:
    """A hypothesis that is still being written."""

    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    score: float = 0.0

    def extended(self, candidate: Candidate) -> Beam:
        """With one token more."""
        return Beam(
            [*self.tokens, candidate.token],
            [*self.log_probabilities, candidate.score - self.score],
            candidate.score,
        )


class Search(ABC):
    """What beam search and its simple relatives share."""

    def __init__(self, settings: GenerationSettings) -> None:
        self.settings = settings
        self.beams = [Beam(score=0.0 if number == 0 else WORST) for number in range(settings.num_beams)]
        self.done = False

    @property
    @abstractmethod
    def candidates(self) -> int:
        """Best candidates that :meth:`advance` wants to see."""

    @property
    def wanted(self) -> Sequence[Sequence[int]]:
        """For each beam tokens that :meth:`advance` wants to see besides, and with them the beam's best token.

        Empty where the best candidates of all beams are enough.
        """
        return ()

    @abstractmethod
    def advance(self, candidates: Iterable[Candidate]) -> list[int]:
        """Go on with the best of ``candidates``, which come best first.

        Returns:
            For each beam that goes on, the beam it continues; its last token is the next to be read.
        """

    @property
    @abstractmethod
    def hypotheses(self) -> list[Hypothesis]:
        """The complete texts, best first."""

    def _ends(self, candidate: Candidate) -> bool:
        length = len(self.beams[candidate.beam].tokens) + 1
        return candidate.token in self.settings.eos_token_id or length >= self.settings.max_new_tokens

    def _complete(self, beam: Beam, unmet: tuple[int, ...] = ()) -> Hypothesis:
        return Hypothesis(
            tuple(beam.tokens),
            self.settings.normalised(beam.score, len(beam.tokens)),
            tuple(beam.log_probabilities),
            unmet,
        )


class Greedy(Search):
    """One beam that takes each best candidate, or the one that was drawn."""

    @property
    def candidates(self) -> int:
        """One."""
        return 1

    def advance(self, candidates: Iterable[Candidate]) -> list[int]:
        """As :meth:`Search.advance`."""
        best = next(iter(candidates))
        self.done = self._ends(best)
        self.beams = [self.beams[0].extended(best)]
        return [0]

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """The one text."""
        return [self._complete(self.beams[0])]


class BeamSearch(Search):
    """The K best beginnings go on, and the K best complete texts are kept.

    The rules of when a text is complete and when no other can win are those of upstream's ``generate``, so that the
    same settings give the same tokens.
    """

    def __init__(self, settings: GenerationSettings) -> None:
        super().__init__(settings)
        self._finished: list[tuple[float, Beam]] = []

    @property
    def candidates(self) -> int:
        """Enough that K go on even if an end token is the best continuation of each."""
        return max(2, 1 + len(self.settings.eos_token_id)) * self.settings.num_beams

    def advance(self, candidates: Iterable[Candidate]) -> list[int]:
        """As :meth:`Search.advance`."""
        settings, width = self.settings, self.settings.num_beams
        going: list[Candidate] = []
        for rank, candidate in enumerate(candidates):
            if not self._ends(candidate):
                going.append(candidate)
            elif rank < width and candidate.score > WORST:
                self._keep(self.beams[candidate.beam].extended(candidate))
            if len(going) == width:
                break
        followed = self._go_on(going)
        if followed and len(self._finished) == width:
            self.done = settings.early_stopping is True or not self._may_gain(self._finished[-1][0])
        return followed

    def _go_on(self, going: Sequence[Candidate]) -> list[int]:
        """Extend beams by the candidates, K or fewer; without any, the search is done."""
        if not going:
            self.done = True
            return []
        width = self.settings.num_beams
        going = [*going, *[going[-1]] * (width - len(going))]  # too few: the last one stands for several
        beams = [self.beams[candidate.beam].extended(candidate) for candidate in going]
        for repeated in range(1, width):
            if going[repeated] is going[repeated - 1]:
                beams[repeated].score = WORST
        self.beams = beams
        return [candidate.beam for candidate in going]

    def _keep(self, beam: Beam) -> None:
        score = self.settings.normalised(beam.score, len(beam.tokens))
        self._finished = sorted([*self._finished, (score, beam)], key=lambda entry: -entry[0])
        del self._finished[self.settings.num_beams :]

    def _may_gain(self, worst: float) -> bool:
        """Whether the best beam, at the length that suits it best, could still beat the worst complete text."""
        settings, best = self.settings, self.beams[0]
        length = len(best.tokens)
        if settings.early_stopping == "never" and settings.length_penalty > 0:
            length = settings.max_new_tokens
        return settings.normalised(best.score, length) > worst

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """The complete texts, best first."""
        return [self._complete(beam) for _, beam in self._finished[: self.settings.num_return_sequences]]


def make_search(settings: GenerationSettings) -> Search:
    """The search that settings ask for."""
    return Greedy(settings) if settings.num_beams == 1 else BeamSearch(settings)
