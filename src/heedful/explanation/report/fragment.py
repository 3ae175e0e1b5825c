"""An explanation as a small piece of HTML that runs nothing, for notebooks."""

from __future__ import annotations

from html import escape

import numpy as np

from heedful.explanation.report.layout import pieces, written_pieces
from heedful.explanation.result import LOW_SOURCE, Explanation, WrittenExplanation, signed

FOR, AGAINST = "0,114,178", "213,94,0"
"""Red, green, blue."""
SOURCES_SHOWN = 3


def fragment(explanation: Explanation | WrittenExplanation) -> str:
    """What a notebook shows: no script, no style sheet, all text escaped."""
    parts = _label(explanation) if isinstance(explanation, Explanation) else _written(explanation)
    notes = "".join(f"<li>{escape(note)}</li>" for note in explanation.notes)
    return f'<div style="line-height:1.8;max-width:60em">{parts}{f"<ul>{notes}</ul>" if notes else ""}</div>'


def _label(explanation: Explanation) -> str:
    rival = explanation.runner_up
    aside = f" &nbsp; runner-up: {escape(rival.label)} {rival.probability:.1%}" if rival else ""
    largest = max((abs(word.score) for word in explanation.words), default=0.0)
    cut = pieces(explanation.text, [(word.start, word.end) for word in explanation.words])
    text = "".join(
        escape(piece) if number is None else _tinted(piece, explanation.words[number].score, largest)
        for piece, number in cut
    )
    return (
        f"<p><b>{escape(explanation.claim)}</b> {explanation.probability:.1%}{aside}</p>"
        f'<p dir="auto" style="white-space:pre-wrap">{text}</p><p>{escape(explanation.sum_line)}</p>'
    )


def _tinted(text: str, score: float, largest: float) -> str:
    share = abs(score) / largest if largest > 0 else 0.0
    colour, line = (FOR, "solid") if score > 0 else (AGAINST, "dashed")
    style = f"background:rgba({colour},{0.6 * share:.2f});border-bottom:2px {line} rgba({colour},{share:.2f})"
    return f'<span style="{style}" title="{signed(score)}">{escape(text)}</span>'


def _written(explanation: WrittenExplanation) -> str:
    answer = "".join(escape(piece) for piece, _ in written_pieces(explanation))
    rows = "".join(_row(explanation, number) for number in range(len(explanation.written)))
    head = "".join(f"<th>{name}</th>" for name in ("written", "probability", "strongest in the source", "source share"))
    return (
        f'<p dir="auto" style="white-space:pre-wrap">{escape(explanation.text)}</p>'
        f'<p dir="auto" style="white-space:pre-wrap"><b>{answer}</b></p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(explanation: WrittenExplanation, number: int) -> str:
    scores = explanation.source[number]
    largest = float(np.abs(scores).max(initial=0.0))
    strongest = np.argsort(-np.abs(scores), kind="stable")[:SOURCES_SHOWN]
    sources = " ".join(_tinted(explanation.words[place], float(scores[place]), largest) for place in strongest)
    share = explanation.source_share[number]
    cells = (
        escape(explanation.written[number]),
        f"{explanation.probabilities[number]:.1%}",
        sources,
        f"{share:.0%}{' ⚑' if share < LOW_SOURCE else ''}",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
