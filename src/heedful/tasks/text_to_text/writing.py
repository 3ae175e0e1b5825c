"""Texts go through the network, many side by side, and come out as answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from heedful.data import Example
from heedful.generation import GenerationSettings, Hypothesis, Phrases, Request, write_all
from heedful.tasks.base import Tally
from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.author import Author
from heedful.tasks.text_to_text.trust import Case, Finished, examine, source_spans
from heedful.text import Encoding

WRITTEN_TOGETHER = 1024
"""Passages whose tokens and hypotheses are held at a time, however many a long text has."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that the network answers at once, and what its answer must hold."""

    example: Example
    constraints: tuple[Phrases, ...] = ()
    beginnings: Phrases = ()
    """The answer begins with one of them, if there are any."""


@dataclass(frozen=True)
class Draft:
    """What the network wrote for a text."""

    example: Example
    encoding: Encoding
    cut_tokens: int
    text_start: int
    """The character of what was read that the text begins at."""
    request: Request[int]
    hypotheses: Sequence[Hypothesis]

    def case(self, author: Author, tokens: Sequence[int]) -> Case:
        """Tokens, these or others, as an answer to the text."""
        finished = Finished(self.request.source, self.request.prompt, tuple(tokens))
        spans = source_spans(self.encoding, self.text_start)
        return Case.of(finished, self.example.text, spans, author.target_tokenizer)


def write_passages(
    author: Author,
    passages: Sequence[Passage],
    settings: GenerationSettings,
    *,
    examined: bool = True,
    tally: Tally | None = None,
) -> list[TextAnswer]:
    """Answer passages, a blank one by an empty text.

    Args:
        examined: whether to find out about each answer how far it can be trusted, which takes one more pass.
    """
    asked = [passage for passage in passages if passage.example.text.strip()]
    waiting = (
        answer
        for start in range(0, len(asked), WRITTEN_TOGETHER)
        for answer in _write_together(author, asked[start : start + WRITTEN_TOGETHER], settings, examined, tally)
    )
    return [next(waiting) if passage.example.text.strip() else TextAnswer("", 0.0) for passage in passages]


def _write_together(
    author: Author, passages: Sequence[Passage], settings: GenerationSettings, examined: bool, tally: Tally | None
) -> list[TextAnswer]:
    drafts = draft(author, passages, settings, tally=tally)
    answers = [_answer(author, each) for each in drafts]
    if not examined:
        return answers
    cases = [each.case(author, each.hypotheses[0].tokens) for each in drafts]
    findings = examine(author.model, cases, author.card.trust, keeps_numbers=author.keeps_numbers)
    return [found.added_to(answer) for found, answer in zip(findings, answers, strict=True)]


def draft(
    author: Author, passages: Sequence[Passage], settings: GenerationSettings, *, tally: Tally | None = None
) -> list[Draft]:
    """Write all passages; none is blank."""
    sources = author.encode_sources([passage.example for passage in passages])
    lengths = [len(source.ids) for source, _ in sources]
    architecture = author.architecture
    requests = [
        replace(
            architecture.request(number, source, settings),
            constraints=passage.constraints,
            beginnings=passage.beginnings,
        )
        for number, (passage, (source, _)) in enumerate(zip(passages, sources, strict=True))
    ]
    if author.network.training:
        author.network.eval()  # goes through all modules: for one text that would take longer than many a layer
    written: dict[int, list[Hypothesis]] = {}
    # The longest first: texts of like length are read side by side.
    longest_first = sorted(requests, key=lambda request: -lengths[request.key])
    for number, hypotheses in write_all(author.model, longest_first, compiled=author.engine, workers=author.workers):
        written[number] = hypotheses
        if tally is not None:
            tokens, by_beams = lengths[number], len(hypotheses[0].tokens) * settings.num_beams
            tally.add(texts=1, tokens=tokens, cells=tokens, written=by_beams)
    begin = architecture.text_start  # once: a template is rendered for it
    return [
        Draft(passage.example, source, cut, begin, request, written[number])
        for number, (passage, (source, cut), request) in enumerate(zip(passages, sources, requests, strict=True))
    ]


def _answer(author: Author, each: Draft) -> TextAnswer:
    best, settings = each.hypotheses[0], each.request.settings
    # Where the settings force an end, that of a text of all the tokens it may have is such a one.
    was_forced = bool(settings.forced_eos_token_id) and len(best.tokens) == settings.max_new_tokens
    texts = [author.target_tokenizer.decode(hypothesis.tokens).strip() for hypothesis in each.hypotheses]
    return TextAnswer(
        text=texts[0],
        score=best.score,
        cut_tokens=each.cut_tokens,
        is_complete=best.tokens[-1] in settings.eos_token_id and not was_forced,
        alternatives=tuple(texts[1:]),
    )
