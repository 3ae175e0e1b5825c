"""The slot engine: texts are written side by side; one that is complete leaves at once, and the next one enters.

Offline prediction and a server use the same engine. What a text becomes depends on nothing but the text and its
settings: neither on what is written beside it nor on when it entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

from heedful.errors import InputTooLongError, RequestError
from heedful.generation.best import best_continuations
from heedful.generation.compiled import CompiledWriter
from heedful.generation.constrained import ConstrainedSearch
from heedful.generation.constraints import Phrases
from heedful.generation.lookup import draft
from heedful.generation.rules import BeginsWith, Never, Rule, Written, make_rules
from heedful.generation.search import Candidate, Hypothesis, Search, make_search
from heedful.generation.settings import GenerationSettings
from heedful.generation.slots import Slots
from heedful.model import Transformer
from heedful.nn import CopySource

K = TypeVar("K")


@dataclass(frozen=True)
class Request(Generic[K]):
    """A text to be written."""

    key: K
    """What the caller knows it by."""
    source: tuple[int, ...]
    """Token ids for the encoder; none for a model without one."""
    prompt: tuple[int, ...]
    """What the decoder reads before it writes; its start token, at least."""
    settings: GenerationSettings
    rules: tuple[Rule, ...] = ()
    """Beside those that the settings ask for, and before them."""
    constraints: tuple[Phrases, ...] = ()
    """Of each entry one phrase must appear in the text; takes 2 beams at least, see :func:`widened`."""
    beginnings: Phrases = ()
    """The text begins with one of them, after a token that the settings force to be the first."""
    on_token: Callable[[int], object] | None = None
    """Is told each token as soon as it is written; takes a search with one beam, whose tokens are never revised."""


@dataclass
class _Writing(Generic[K]):
    """A request in a slot."""

    request: Request[K]
    search: Search
    rules: tuple[Rule, ...]
    generator: torch.Generator | None
    source: tuple[int, ...]
    """What is looked up beside the text itself: the source, where the text is written in the same tokens."""

    def draft(self) -> list[int]:
        """What may come after the next token of a text with one beam."""
        request, beam = self.request, self.search.beams[0]
        # A step writes a token more than it reads of a draft.
        left = request.settings.max_new_tokens - len(beam.tokens) - 1
        size = min(request.settings.prompt_lookup_num_tokens, left)
        ngram = request.settings.max_matching_ngram_size
        return draft([*request.prompt, *beam.tokens], self.source, size=size, ngram=ngram) if size else []

    @property
    def next_tokens(self) -> list[int]:
        """What each beam reads next."""
        return [beam.tokens[-1] if beam.tokens else self.request.prompt[-1] for beam in self.search.beams]

    @property
    def written(self) -> Written:
        """What each beam has."""
        prompt = list(self.request.prompt)
        return Written([prompt + beam.tokens for beam in self.search.beams], len(prompt))


class SlotEngine(Generic[K]):
    """Writes texts with a fixed number of slots; all requests have the same number of beams."""

    def __init__(
        self, model: Transformer, *, num_slots: int, num_beams: int, compiled: CompiledWriter | None = None
    ) -> None:
        """``compiled``: the same model, which reads in its place."""
        self.model = model
        self._compiled = compiled
        self.num_beams = num_beams
        self._slots = Slots(model, num_slots, num_beams, compiled)
        self._writing: list[_Writing[K] | None] = [None] * num_slots

    @property
    def free(self) -> int:
        """Slots that a text may enter."""
        return sum(writing is None for writing in self._writing)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written."""
        return self.free == len(self._writing)

    @torch.inference_mode()
    def admit(self, requests: Sequence[Request[K]]) -> None:
        """Begin texts; their sources and prompts are read in one batch.

        Raises:
            RequestError: there are more requests than free slots, or one has another number of beams or names tokens
                that the model does not have.
            InputTooLongError: a prompt and what may be written after it exceed the model's positions.
        """
        empty = [number for number, writing in enumerate(self._writing) if writing is None][: len(requests)]
        if len(empty) < len(requests):
            raise RequestError(f"{len(requests)} texts cannot enter {self.free} free slots")
        for request in requests:
            self._check(request)
        for slot, request in zip(empty, requests, strict=True):
            self._writing[slot] = _begin(request, looks_up_source=self.model.target_embedding is None)
        memory, mask, source = (None, None, None) if self.model.encoder is None else self._encode(requests)
        self._slots.admit(empty, memory, mask, source)
        begun = [request.prompt[:-1] for request in requests]  # the last token is read when the next one is written
        if any(begun):
            self._slots.read_prompts(empty, begun, memory, mask)

    def _check(self, request: Request[K]) -> None:
        settings = request.settings
        if settings.num_beams != self.num_beams:
            raise RequestError(f"a text with {settings.num_beams} beams cannot enter, {self.num_beams} are set")
        size = self.model.spec.written_size
        if unknown := sorted(token for token in settings.ruled_tokens if token >= size):
            raise RequestError(
                f"the generation settings name token {unknown[0]}, and the model has {size:,} tokens",
                remedy="Take the settings of the model's own checkpoint.",
            )
        if request.on_token is not None and self.num_beams > 1:
            raise RequestError(
                f"a text cannot be followed while it is written with {self.num_beams} beams: they are revised",
                remedy="Set num_beams to 1.",
            )
        limit = None if self.model.decoder is None else self.model.decoder.max_positions
        # The last token that is written is never read.
        needed = len(request.prompt) + settings.max_new_tokens - 1
        if limit is not None and needed > limit:
            raise InputTooLongError(
                f"a prompt of {len(request.prompt)} tokens and {settings.max_new_tokens} to be written are more than "
                f"the {limit} positions of the model",
                remedy=f"Set max_new_tokens to {max(1, limit - len(request.prompt) + 1)} or less, "
                "or shorten what is to be read.",
            )

    @torch.inference_mode()
    def step(self) -> list[tuple[K, list[Hypothesis]]]:
        """Read the next token of every beam and write another one; of a draft all that are right.

        Returns:
            The texts that are complete now, whose slots are free again.

        Raises:
            RequestError: the settings of a text leave no token to be written.
        """
        texts = [(slot, writing) for slot, writing in enumerate(self._writing) if writing is not None]
        if self.num_beams == 1:
            self._step_in_a_row(texts)
        else:
            ids = [[0] * self.num_beams if writing is None else writing.next_tokens for writing in self._writing]
            logits = self._slots.read(self._tensor(ids))
            followed = dict(self._write(logits, texts))
            everyone = list(range(self.num_beams))
            self._slots.follow(self._tensor([followed.get(slot) or everyone for slot in range(len(ids))]))
        finished = []
        for slot, writing in texts:
            if writing.search.done:
                if not writing.search.hypotheses:
                    raise _nothing_possible()
                finished.append((writing.request.key, writing.search.hypotheses))
                self._writing[slot] = None
                self._slots.release(slot)
        return finished

    def _step_in_a_row(self, texts: Sequence[tuple[int, _Writing[K]]]) -> None:
        """Read the next token of each text and a draft behind it; write, as long as the draft has what is written."""
        rows = [[0] for _ in self._writing]
        for slot, writing in texts:
            rows[slot] = [*writing.next_tokens, *writing.draft()]
        width = max(map(len, rows))
        logits = self._slots.read(self._tensor([row + [0] * (width - len(row)) for row in rows]))
        kept = torch.zeros(len(rows), width, dtype=torch.bool)
        for place in range(width):
            self._write(logits[:, place : place + 1], texts)
            texts = [
                (slot, writing)
                for slot, writing in texts
                if not writing.search.done and rows[slot][place + 1 : place + 2] == writing.next_tokens
            ]
            if not texts:
                break
            kept[[slot for slot, _ in texts], place] = True
        if width > 1:
            self._slots.accept(kept[:, :-1].to(logits.device))

    def _write(self, logits: Tensor, texts: Sequence[tuple[int, _Writing[K]]]) -> list[tuple[int, list[int]]]:
        """Go on with the best continuations of texts; which beams were followed, in each one's slot."""
        followed = []
        for (slot, writing), candidates in zip(texts, self._candidates(logits, texts), strict=True):
            followed.append((slot, writing.search.advance(candidates)))
            if writing.request.on_token is not None:
                writing.request.on_token(writing.search.beams[0].tokens[-1])
        return followed

    def _tensor(self, numbers: list[list[int]]) -> Tensor:
        return torch.tensor(numbers, device=self.model.token_embedding.weight.device)

    def run(self, requests: Iterable[Request[K]]) -> Iterator[tuple[K, list[Hypothesis]]]:
        """Write all ``requests``; each is answered as soon as it is complete.

        Several engines may share an iterator of requests, each of which then enters one of them.
        """
        waiting = iter(requests)
        while True:
            free = self.free
            entering = list(islice(waiting, free))
            if entering:
                self.admit(entering)
            if self.is_idle:
                return
            yield from self.step()
            if len(entering) < free and not self.is_idle and self.free > len(self._writing) // 2:
                self._shrink()

    def _shrink(self) -> None:
        """Leave the free slots out: nothing will enter them any more."""
        taken = [number for number, writing in enumerate(self._writing) if writing is not None]
        self._slots.keep(taken)
        self._writing = [self._writing[number] for number in taken]

    def _encode(self, requests: Sequence[Request[K]]) -> tuple[Tensor, Tensor, CopySource | None]:
        device = self.model.token_embedding.weight.device
        width = max(len(request.source) for request in requests)
        ids = torch.zeros(len(requests), width, dtype=torch.int64, device=device)
        mask = torch.zeros(len(requests), width, dtype=torch.bool, device=device)
        for row, request in enumerate(requests):
            ids[row, : len(request.source)] = torch.tensor(request.source, device=device)
            mask[row, : len(request.source)] = True
        if self._compiled is None:
            memory = self.model.encode(ids, None if bool(mask.all()) else mask)
        else:
            memory = self._compiled.encode(ids, mask)
        return memory, mask, self.model.copy_source(ids, memory, mask)

    def _candidates(
        self, logits: Tensor, writing_now: Sequence[tuple[int, _Writing[K]]]
    ) -> Iterator[Iterator[Candidate]]:
        """The best continuations of each text, best first."""
        if not writing_now:
            return iter(())
        slots = [slot for slot, _ in writing_now]
        rows = (logits if len(slots) == len(logits) else logits[slots]).to(
            torch.promote_types(logits.dtype, torch.float32)
        )
        # As upstream does: in a beam search the rules change log-probabilities, without one the logits.
        scores = rows if self.num_beams == 1 else rows.log_softmax(-1)
        _rule(scores, [writing for _, writing in writing_now])
        if self.num_beams == 1:
            scores = scores.log_softmax(-1)
        sums = scores.new_tensor([[beam.score for beam in writing.search.beams] for _, writing in writing_now])
        size = logits.shape[-1]
        count = min(max(writing.search.candidates for _, writing in writing_now), self.num_beams * size)
        values, places = best_continuations(scores, sums, count)
        best = list(zip(values.tolist(), places.tolist(), strict=True))
        for row, (_, writing) in enumerate(writing_now):
            if not best[row][0][0] > -torch.inf:  # a number that is none too
                raise _nothing_possible()
            if writing.generator is not None:
                best[row] = _draw(
                    (scores[row] + sums[row, :, None]).flatten(), writing.search.candidates, writing.generator
                )
            if wanted := writing.search.wanted:
                best[row] = _with_wanted(scores[row] + sums[row, :, None], best[row], wanted)
        return (
            (Candidate(value, index // size, index % size) for value, index in zip(*row, strict=True)) for row in best
        )


def _rule(scores: Tensor, texts: Sequence[_Writing[K]]) -> None:
    """Change the scores (N, K, V) of texts by the rules of each."""
    first = texts[0]
    if all(isinstance(rule, Never) and rule.place is None for rule in first.rules) and all(
        writing.rules == first.rules for writing in texts
    ):
        for rule in first.rules:
            rule(scores, first.written)
        return
    for row, writing in enumerate(texts):
        for rule in writing.rules:
            scores[row] = rule(scores[row], writing.written)


def _nothing_possible() -> RequestError:
    return RequestError(
        "no token can be written: the generation settings forbid every one, or the network's scores are no numbers",
        remedy="Look at suppress_tokens, bad_words_ids and the tokens that are forced.",
    )


def _begin(request: Request[K], *, looks_up_source: bool) -> _Writing[K]:
    settings = request.settings
    generator = torch.Generator().manual_seed(settings.seed) if settings.do_sample else None
    rules = (*request.rules, *make_rules(settings, request.source))
    if request.beginnings:
        rules = (*rules, BeginsWith(request.beginnings, settings.forced_bos_token_id is not None))
    search = ConstrainedSearch(settings, request.constraints) if request.constraints else make_search(settings)
    return _Writing(request, search, rules, generator, request.source if looks_up_source else ())


def _draw(totals: Tensor, count: int, generator: torch.Generator) -> tuple[list[float], list[int]]:
    """``count`` different continuations, drawn by their probabilities and put in order."""
    probabilities = totals.softmax(-1).cpu()
    possible = int((probabilities > 0).sum())
    drawn = torch.multinomial(probabilities, min(count, possible), generator=generator)
    values, order = totals.cpu()[drawn].sort(descending=True)
    return values.tolist(), drawn[order].tolist()


def _with_wanted(
    totals: Tensor, best: tuple[list[float], list[int]], wanted: Sequence[Sequence[int]]
) -> tuple[list[float], list[int]]:
    """The best continuations and those that a search wants to see besides, of ``totals`` (K, V), in order."""
    size = totals.shape[1]
    places = {beam * size + token for beam, tokens in enumerate(wanted) for token in tokens}
    places.update(beam * size + token for beam, token in enumerate(totals.argmax(-1).tolist()))
    index = torch.tensor(sorted(places.union(best[1])), device=totals.device)
    values, order = totals.flatten()[index].sort(descending=True, stable=True)
    return values.tolist(), index[order].tolist()
