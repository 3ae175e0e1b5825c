"""Summaries that nobody had to learn: what a summarizer has to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from heedful.metrics import SUMMARIZATION_METRICS, bootstrap, summarization_statistics
from heedful.text.sentences import split_sentences


def _first(count: int) -> Callable[[Sequence[str]], list[int]]:
    return lambda units: list(range(min(count, len(units))))


def _longest(count: int) -> Callable[[Sequence[str]], list[int]]:
    return lambda units: sorted(sorted(range(len(units)), key=lambda number: -len(units[number]))[:count])


BASELINES: Mapping[str, Callable[[Sequence[str]], list[int]]] = {
    "lead-1": _first(1),
    "lead-3": _first(3),
    "longest-3": _longest(3),
}
"""Which units of a document stand for it, by number: the first ones (Nallapati et al. 2017, section 4.2), or the
longest ones, the strongest of its kind for conversations (Gliwa et al. 2019, section 4)."""


def units_of(document: str) -> tuple[str, ...]:
    """What a document is taken apart into: its lines, such as the turns of a conversation, or the sentences of its only
    one."""
    lines = tuple(line for line in document.splitlines() if line.strip())
    return lines if len(lines) > 1 else split_sentences(document).pieces


def baseline_values(documents: Sequence[str], summaries: Sequence[str]) -> dict[str, dict[str, float]]:
    """What each baseline reaches: its name -> metric -> value.

    Args:
        documents: N texts.
        summaries: what the summary of each should be.
    """
    units = [units_of(document) for document in documents]
    values = {}
    for name, choose in BASELINES.items():
        chosen = ["\n".join(parts[number] for number in choose(parts)) for parts in units]
        found = bootstrap(SUMMARIZATION_METRICS, summarization_statistics(chosen, summaries), resamples=0)
        values[name] = {metric: value.value for metric, value in found.items()}
    return values
