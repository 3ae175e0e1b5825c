"""An explanation in the terminal: by colour, and readable without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from heedful.evaluation.lettering import printable
from heedful.evaluation.report import titled_table
from heedful.explanation.report.layout import pieces
from heedful.explanation.result import LOW_SOURCE, Explanation, WrittenExplanation, signed

WORDS_SHOWN = 10
"""In the table of the strongest; the files hold all."""
SOURCES_SHOWN = 3
"""Words of the source beside each word that was written."""
HALF_BAR = 10
"""Columns of the longest bar."""
# Told apart by every kind of colour vision, and seen on white and on black.
FOR, AGAINST = "#2b8cc4", "#d5651e"
STYLES = ("", "{}", "bold underline {}", "bold #ffffff on {}")
"""By strength, from what hardly counts."""
MARKS = {True: "⁺", False: "⁻"}


def terminal(explanation: Explanation | WrittenExplanation) -> RenderableType:
    """What ``rich`` prints: the answer, the words by what they speak for, and the sum."""
    parts = _label(explanation) if isinstance(explanation, Explanation) else _written(explanation)
    return Group(*(Padding(part, (0, 1, 1, 1)) for part in parts))


def _label(explanation: Explanation) -> Iterator[RenderableType]:
    yield _headline(explanation)
    yield _Words(explanation)
    yield _strongest(explanation)
    yield Text(explanation.sum_line, style="bold")
    if explanation.verify:
        yield _removals(explanation)
    if explanation.faithfulness:
        figures = ", ".join(f"{printable(name)} {value:.3f}" for name, value in explanation.faithfulness.items())
        yield Text(f"measured faithfulness of {printable(explanation.method)}: {figures}", style="dim")
    yield from _remarks(explanation.notes)


def _headline(explanation: Explanation) -> Text:
    line = Text.assemble(
        (printable(explanation.label), "bold"),
        f"  {explanation.probability:.1%}",
        ("" if explanation.against is None else f"  rather than {printable(explanation.against)}"),
    )
    if explanation.runner_up:
        rival = explanation.runner_up
        line.append(f"   runner-up: {printable(rival.label)} {rival.probability:.1%}", "dim")
    return line


class _Words:
    """The text, its words coloured; where there is no colour, marked."""

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        words = self.explanation.words
        coloured = console.color_system is not None and not console.no_color
        strengths = _strengths([word.score for word in words])
        text = Text()
        for piece, number in pieces(self.explanation.text, [(word.start, word.end) for word in words]):
            strength, is_for = (strengths[number], words[number].score > 0) if number is not None else (0, True)
            text.append(_shown(piece), _style(strength, is_for) if coloured else "")
            text.append("" if coloured else MARKS[is_for] * strength)
        yield text
        yield Text()
        yield self._legend() if coloured else Text("⁺ speaks for it, ⁻ against it; more marks, more", style="dim")

    def _legend(self) -> Text:
        return Text.assemble(
            ("speaks against it ", "dim"),
            *[(f" {signed(-share)} ", _style(step, False)) for step, share in self._steps()],
            " ",
            *[(f" {signed(share)} ", _style(step, True)) for step, share in reversed(self._steps())],
            (" for it", "dim"),
        )

    def _steps(self) -> list[tuple[int, float]]:
        largest = max((abs(word.score) for word in self.explanation.words), default=0.0)
        return [(3, largest), (2, largest / 2), (1, largest / 8)]


def _strengths(scores: Sequence[float]) -> list[int]:
    """From 0 for less than an eighth of the largest to 3 for more than three quarters of it."""
    sizes = np.abs(np.asarray(scores, dtype=float))
    largest = sizes.max(initial=0.0)
    return np.digitize(sizes, np.array([1 / 8, 3 / 8, 3 / 4]) * largest).tolist() if largest > 0 else [0] * len(sizes)


def _style(strength: int, is_for: bool) -> str:
    return STYLES[strength].format(FOR if is_for else AGAINST)


def _strongest(explanation: Explanation) -> Table:
    words = sorted(explanation.words, key=lambda word: -abs(word.score))[:WORDS_SHOWN]
    all_of_them = len(words) == len(explanation.words)
    title = (
        "words, strongest first" if all_of_them else f"the strongest {WORDS_SHOWN} of {len(explanation.words):,} words"
    )
    table = titled_table(title)
    table.add_column("word", overflow="ellipsis", no_wrap=True, max_width=32)
    table.add_column("logits", justify="right", style="bold")
    table.add_column("")
    largest = max((abs(word.score) for word in words), default=0.0)
    for word in words:
        table.add_row(Text(printable(word.text)), signed(word.score), _bar(word.score, largest))
    return table


def _bar(score: float, largest: float) -> Text:
    """To the right of the middle where the score is above 0, to the left where it is below."""
    length = round(HALF_BAR * abs(score) / largest) if largest > 0 else 0
    if score > 0:
        return Text.assemble(" " * HALF_BAR, ("│", "dim"), ("█" * length, FOR))
    return Text.assemble(("▒" * length).rjust(HALF_BAR), ("│", "dim"), style=AGAINST)


def _removals(explanation: Explanation) -> Table:
    table = titled_table(f"{printable(explanation.label)} without some words")
    table.add_column("words hidden", justify="right")
    table.add_column("the strongest", justify="right", style="bold")
    table.add_column("random ones", justify="right")
    table.add_row("0", *[f"{explanation.probability:.1%}"] * 2)
    for removal in explanation.verify:
        table.add_row(f"{removal.k}", f"{removal.probability:.1%}", f"{removal.random:.1%}")
    return table


def _written(explanation: WrittenExplanation) -> Iterator[RenderableType]:
    yield Group(Text(_shown(explanation.text), style="dim"), Text(f"→ {_shown(explanation.answer)}"))
    table = titled_table("words of the answer, and what spoke for them")
    table.add_column("word", overflow="ellipsis", no_wrap=True, max_width=24, style="bold")
    table.add_column("probability", justify="right")
    table.add_column("strongest words of the source", overflow="fold")
    for name in ("source", "written\nbefore", "bias", "logit"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("source\nshare", justify="right", no_wrap=True)
    sums = _sums(explanation)
    for number, word in enumerate(explanation.written):
        share = explanation.source_share[number]
        table.add_row(
            Text(printable(word)),
            f"{explanation.probabilities[number]:.1%}",
            _sources(explanation, number),
            *(signed(part) for part in sums[number]),
            Text(
                f"⚑ {share:.0%}" if share < LOW_SOURCE else f"{share:.0%}", style=AGAINST if share < LOW_SOURCE else ""
            ),
        )
    yield table
    low = int((explanation.source_share < LOW_SOURCE).sum())
    flagged = (
        [f"⚑ {low} of {len(sums)} words hardly looked at the source (a share under {LOW_SOURCE:.0%})"] if low else []
    )
    yield from _remarks([*flagged, *explanation.notes])


def _sums(explanation: WrittenExplanation) -> NDArray[np.float64]:
    """(U, 4): source, what was written before, bias, and their sum."""
    source = explanation.source.sum(axis=1) + explanation.source_special
    prefix = explanation.prefix.sum(axis=1) + explanation.start
    return np.stack([source, prefix, explanation.bias, explanation.logits], axis=1)


def _sources(explanation: WrittenExplanation, number: int) -> Text:
    scores = explanation.source[number]
    strengths = _strengths(scores.tolist())
    strongest = [int(place) for place in np.argsort(-np.abs(scores), kind="stable")[:SOURCES_SHOWN]]
    parts = Text()
    for place in strongest:
        is_for = scores[place] > 0
        style = _style(min(strengths[place], 2), bool(is_for))
        parts.append("  " if parts else "").append(printable(explanation.words[place]), style)
        parts.append(f"\N{NO-BREAK SPACE}{signed(scores[place])}", "dim")
    return parts


def _remarks(notes: Sequence[str]) -> Iterator[Text]:
    if notes:
        yield Text("\n".join(f"! {printable(note)}" for note in notes), style="yellow")


def _shown(text: str) -> str:
    """The text with its lines, and a space for every other character that moves or colours the terminal."""
    return "\n".join(map(printable, text.split("\n")))
