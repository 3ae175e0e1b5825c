"""Rules over scores: what may be written next. K beams, V tokens.

A rule changes the scores of one text's beams, log-probabilities or logits (K, V), in the light of what each beam has
written. Rules are made for one text, so each text may have its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from heedful.generation.settings import GenerationSettings


@dataclass(frozen=True)
class Written:
    """What the beams of a text have so far."""

    tokens: Sequence[Sequence[int]]
    """K sequences, all of one length: the prompt and what was generated after it."""
    prompt_length: int
    """Tokens of the prompt, the decoder's start token among them."""

    @property
    def generated(self) -> int:
        """Tokens after the prompt."""
        return len(self.tokens[0]) - self.prompt_length


Rule = Callable[[Tensor, Written], Tensor]
"""Scores (K, V) and what was written -> scores (K, V); it may change the ones it is given."""


def forbid(scores: Tensor, beam: int | slice, tokens: Sequence[int]) -> None:
    """Make ``tokens`` impossible for a beam, or for all."""
    scores[beam, list(tokens)] = -torch.inf


@dataclass(frozen=True)
class RepetitionPenalty:
    """Scores of written tokens, prompt included, are divided or, below 0, multiplied by ``penalty``."""

    penalty: float

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        for beam, tokens in enumerate(written.tokens):
            index = torch.tensor(sorted(set(tokens)), device=scores.device)
            picked = scores[beam, index]
            scores[beam, index] = torch.where(picked < 0, picked * self.penalty, picked / self.penalty)
        return scores


@dataclass(frozen=True)
class NoRepeatNgrams:
    """No sequence of ``size`` tokens is written twice (Paulus et al. 2018, section 2.5)."""

    size: int

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        for beam, tokens in enumerate(written.tokens):
            forbid(scores, beam, followers(tokens, tokens, self.size))
        return scores


@dataclass(frozen=True)
class NoNgramsOf:
    """No sequence of ``size`` tokens of ``source`` is written."""

    source: Sequence[int]
    size: int

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        for beam, tokens in enumerate(written.tokens):
            forbid(scores, beam, followers(self.source, tokens, self.size))
        return scores


def followers(text: Sequence[int], tokens: Sequence[int], size: int) -> list[int]:
    """What follows in ``text`` wherever the last ``size`` - 1 of ``tokens`` stand in it."""
    if len(tokens) + 1 < size:
        return []
    end = list(tokens[len(tokens) + 1 - size :])
    starts = range(len(text) - size + 1)
    return [text[start + size - 1] for start in starts if list(text[start : start + size - 1]) == end]


@dataclass(frozen=True)
class NoPhrases:
    """None of ``phrases`` is written."""

    phrases: Sequence[Sequence[int]]

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        for beam, tokens in enumerate(written.tokens):
            forbid(scores, beam, [phrase[-1] for phrase in self.phrases if _ends_with(tokens, phrase[:-1])])
        return scores


def _ends_with(tokens: Sequence[int], end: Sequence[int]) -> bool:
    return len(end) <= len(tokens) and list(tokens[len(tokens) - len(end) :]) == list(end)


@dataclass(frozen=True)
class NotBefore:
    """None of ``tokens``, those that end a text, before ``length`` others were generated."""

    tokens: Sequence[int]
    length: int

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        if written.generated < self.length:
            forbid(scores, slice(None), self.tokens)
        return scores


@dataclass(frozen=True)
class ForcedAt:
    """One of ``tokens`` after ``place`` generated ones, and nothing else."""

    tokens: Sequence[int]
    place: int

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        if written.generated == self.place:
            scores.fill_(-torch.inf)
            scores[:, list(self.tokens)] = 0.0
        return scores


@dataclass(frozen=True)
class BeginsWith:
    """One of ``beginnings`` after ``place`` generated tokens, even where another rule forbids it."""

    beginnings: Sequence[Sequence[int]]
    place: int = 0

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        start = written.prompt_length + self.place
        for beam, tokens in enumerate(written.tokens):
            begun = list(tokens[start:])
            fitting = [beginning for beginning in self.beginnings if list(beginning[: len(begun)]) == begun]
            if written.generated < self.place or not fitting or any(len(each) == len(begun) for each in fitting):
                continue  # too early, or one of them stands there
            following = sorted({beginning[len(begun)] for beginning in fitting})
            kept = scores[beam, following]
            scores[beam] = -torch.inf
            scores[beam, following] = kept if bool((kept > -torch.inf).any()) else 0.0
        return scores


@dataclass(frozen=True)
class Never:
    """None of ``tokens``; with ``place``, not after so many generated ones.

    Without a place it looks at nothing that was written, and takes scores of many texts (N, K, V) too.
    """

    tokens: Sequence[int]
    place: int | None = None

    def __call__(self, scores: Tensor, written: Written) -> Tensor:
        if self.place is None or written.generated == self.place:
            scores[..., list(self.tokens)] = -torch.inf
        return scores


@dataclass(frozen=True)
class Narrowed:
    """Scores for drawing: temperature, then top-k, top-p (Holtzman et al. 2020) and min-p (Nguyen et al. 2024)."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    keep: int = 1
    """Tokens that stay in any case."""

    def __call__(self, scores: Tensor, _: Written) -> Tensor:
        scores = scores / self.temperature
        if self.top_k:
            worst = scores.topk(min(max(self.top_k, self.keep), scores.shape[-1])).values[:, -1:]
            scores = scores.masked_fill(scores < worst, -torch.inf)
        if self.top_p < 1:
            ordered, index = scores.sort()
            outside = ordered.softmax(-1).cumsum(-1) <= 1 - self.top_p
            outside[:, -self.keep :] = False
            scores = scores.masked_fill(outside.scatter(1, index, outside), -torch.inf)
        if self.min_p:
            probabilities = scores.softmax(-1)
            outside = probabilities < self.min_p * probabilities.amax(-1, keepdim=True)
            outside.scatter_(1, scores.topk(self.keep).indices, value=False)
            scores = scores.masked_fill(outside, -torch.inf)
        return scores


def make_rules(settings: GenerationSettings, source: Sequence[int] = ()) -> tuple[Rule, ...]:
    """The rules that settings ask for, in the order in which upstream's ``generate`` applies them."""
    ends = settings.eos_token_id
    rules: list[Rule] = []
    if settings.repetition_penalty != 1:
        rules.append(RepetitionPenalty(settings.repetition_penalty))
    if settings.no_repeat_ngram_size:
        rules.append(NoRepeatNgrams(settings.no_repeat_ngram_size))
    if settings.encoder_no_repeat_ngram_size:
        rules.append(NoNgramsOf(source, settings.encoder_no_repeat_ngram_size))
    phrases = [phrase for phrase in settings.bad_words_ids if not (len(phrase) == 1 and phrase[0] in ends)]
    if phrases:
        rules.append(NoPhrases(phrases))
    if ends and settings.min_new_tokens:
        rules.append(NotBefore(ends, settings.min_new_tokens))
    if settings.forced_bos_token_id is not None:
        rules.append(ForcedAt((settings.forced_bos_token_id,), 0))
    if settings.forced_eos_token_id:
        rules.append(ForcedAt(settings.forced_eos_token_id, settings.max_new_tokens - 1))
    if settings.suppress_tokens:
        rules.append(Never(settings.suppress_tokens))
    if settings.begin_suppress_tokens:
        rules.append(Never(settings.begin_suppress_tokens, 0 if settings.forced_bos_token_id is None else 1))
    if settings.do_sample:
        keep = 1 if settings.num_beams == 1 else len(ends) + 1
        rules.append(Narrowed(settings.temperature, settings.top_k, settings.top_p, settings.min_p, keep))
    return tuple(rules)
