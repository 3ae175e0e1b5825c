"""Pictures of an explanation for papers, as SVG or PNG; the same explanation gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heedful.evaluation.lettering import Lettering, letter, printable
from heedful.evaluation.plots import BLUE, FULL_RIGHT, FULL_WRONG, INK, LINE, MUTED, ORANGE, figure_at
from heedful.explanation.report.layout import Piece, pieces, sentences_of, written_pieces
from heedful.explanation.result import Explanation, WrittenExplanation, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

WIDTH = 7.2
"""Of the picture of a text; lengths are in inches."""
MARGIN = 0.25
FONT_SIZE = 11
EM = FONT_SIZE / 72
LINE_HEIGHT = 1.9 * EM
BAR_HEIGHT = 0.24
WORDS_DRAWN = 600
BARS_DRAWN = 10
MOST_CELLS = 100
"""Words beside or below a heat map; of longer texts, sentences."""
CELL = 0.26
SEEN = 0.1
"""Share of the largest score from which a cell is struck through where it speaks against."""


def save_picture(explanation: Explanation | WrittenExplanation, path: Path) -> None:
    """Draw an explanation into a PNG or SVG file.

    Of a label: its text with coloured words, the first 600, and bars of the ten strongest. Of what was written: a heat
    map, the words of the answer by those of the source; by sentences where either has more than 100 words.

    Raises:
        RequestError: another suffix than .png and .svg.
        OutputError, JobError: ``path`` cannot be written.
    """
    by_reader = path.suffix.lower() == ".svg"
    if isinstance(explanation, Explanation):
        _save_label(explanation, path, by_reader=by_reader)
    else:
        _save_written(explanation, path, by_reader=by_reader)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A piece of text, where it stands, and the number of the word that it is."""

    text: str
    x: float
    y: float
    width: float
    word: int | None


def _place(cut: Sequence[Piece], lettering: Lettering) -> tuple[list[_Placed], float]:
    """Each piece in its line, lines no wider than the picture; and where the last line ends."""
    placed: list[_Placed] = []
    x, y = MARGIN, 0.0
    for (piece, word), text, em in zip(cut, lettering.texts, lettering.widths, strict=True):
        if not piece.strip():
            x, y = (MARGIN, y + LINE_HEIGHT) if "\n" in piece else (x + 0.35 * EM, y)
            continue
        width = em * EM
        if x + width > WIDTH - MARGIN and x > MARGIN:
            x, y = MARGIN, y + LINE_HEIGHT
        placed.append(_Placed(text, x, y, width, word))
        x += width
    return placed, y + LINE_HEIGHT


def _save_label(explanation: Explanation, path: Path, *, by_reader: bool) -> None:
    words = explanation.words[:WORDS_DRAWN]
    text = explanation.text if len(words) == len(explanation.words) else explanation.text[: words[-1].end]
    cut = pieces(text, [(word.start, word.end) for word in words])
    lettering = letter(dict(enumerate(piece for piece, _ in cut)), by_reader=by_reader)
    placed, below = _place(cut, lettering)
    strongest = sorted(range(len(words)), key=lambda number: -abs(words[number].score))[:BARS_DRAWN]
    top = 0.95
    height = top + below + 0.3 + BAR_HEIGHT * len(strongest) + MARGIN
    shown = {piece.word: piece.text for piece in placed}
    scores = np.array([word.score for word in words])
    with figure_at(path, WIDTH, height) as figure:
        axes = _sheet(figure, WIDTH, height)
        _head(
            axes, f"{explanation.claim}   {explanation.probability:.1%}", explanation.sum_line, len(words), explanation
        )
        for piece in placed:
            score = 0.0 if piece.word is None else scores[piece.word]
            _draw_word(axes, piece, top, score / max(np.abs(scores).max(), np.finfo(float).tiny), lettering.families)
        labels = [shown.get(number, "") for number in strongest]
        _draw_bars(axes, top + below + 0.3, labels, scores[strongest], lettering.families)


def _sheet(figure: Any, width: float, height: float) -> Axes:
    """Axes over the whole figure, in inches from its top left corner."""
    axes: Axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return axes


def _head(axes: Axes, title: str, subtitle: str, drawn: int, explanation: Explanation) -> None:
    families = letter({0: title}, by_reader=True).families
    axes.text(MARGIN, 0.36, printable(title), size=12, weight="bold", color=INK, family=families, parse_math=False)
    if drawn < len(explanation.words):
        subtitle = f"{subtitle}; the first {drawn} of {len(explanation.words):,} words"
    axes.text(MARGIN, 0.6, subtitle, size=9, color=MUTED)


def _draw_word(axes: Axes, piece: _Placed, top: float, share: float, families: list[str]) -> None:
    baseline = top + piece.y
    if abs(share) >= 0.04:
        colour = BLUE if share > 0 else ORANGE
        axes.bar(
            piece.x, 1.5 * EM, piece.width, baseline - 1.1 * EM, align="edge", color=colour, alpha=0.6 * abs(share)
        )
        axes.hlines(
            baseline + 0.4 * EM,
            piece.x,
            piece.x + piece.width,
            colors=colour,
            linewidths=0.5 + abs(share),
            linestyles="solid" if share > 0 else "dashed",
        )
    axes.text(piece.x, baseline, piece.text, size=FONT_SIZE, color=INK, family=families, parse_math=False)


def _draw_bars(axes: Axes, top: float, labels: Sequence[str], scores: Floats, families: list[str]) -> None:
    middle, reach = 0.6 * WIDTH, 0.28 * WIDTH
    largest = max(np.abs(scores).max(), np.finfo(float).tiny)
    for place, (label, score) in enumerate(zip(labels, scores, strict=True)):
        y = top + BAR_HEIGHT * (place + 0.5)
        colour, hatch = (BLUE, None) if score > 0 else (ORANGE, "////")
        axes.barh(y, reach * score / largest, 0.6 * BAR_HEIGHT, middle, color=colour, hatch=hatch, ec="white", lw=0)
        style: dict[str, Any] = {"size": 9, "va": "center_baseline", "parse_math": False}
        axes.text(MARGIN, y, label, color=INK, family=families, **style)
        axes.text(WIDTH - MARGIN, y, signed(float(score)), color=MUTED, ha="right", **style)
    axes.vlines(middle, top, top + BAR_HEIGHT * len(labels), colors=MUTED, linewidths=0.8)


@dataclass(frozen=True, slots=True)
class _Map:
    """A heat map: R rows, C columns."""

    scores: Floats
    """(R, C)."""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    aligned: tuple[tuple[int, int], ...]
    """(column, row)."""


def _map_of(explanation: WrittenExplanation) -> _Map:
    if max(explanation.source.shape) <= MOST_CELLS:
        return _Map(explanation.source, explanation.written, explanation.words, explanation.alignment)
    (source, of_source), (answer, of_answer) = (
        sentences_of(cut) for cut in (pieces(explanation.text, explanation.spans), written_pieces(explanation))
    )
    columns, rows = (tuple(piece for piece, number in cut if number is not None) for cut in (source, answer))
    scores = np.zeros((len(rows), len(columns)))
    np.add.at(scores, np.ix_(of_answer, of_source), explanation.source)
    return _Map(scores, rows, columns, ())


def _save_written(explanation: WrittenExplanation, path: Path, *, by_reader: bool) -> None:
    drawn = _map_of(explanation)
    beside, above = (letter(dict(enumerate(names)), by_reader=by_reader) for names in (drawn.rows, drawn.columns))
    em = 9 / 72
    left, top = MARGIN + em * beside.widest + 0.1, 0.5 + em * above.widest + 0.1
    width = max(left + CELL * len(drawn.columns) + MARGIN, 4.0)
    height = top + CELL * len(drawn.rows) + 0.6
    with figure_at(path, width, height) as figure:
        axes = _sheet(figure, width, height)
        title = "What of the source spoke for the answer"
        axes.text(MARGIN, 0.3, title, size=10, weight="bold", color=INK)
        _draw_map(axes, drawn, left, top)
        style: dict[str, Any] = {"size": 9, "color": INK, "parse_math": False}
        for place, text in enumerate(beside.texts):
            y = top + CELL * (place + 0.5)
            axes.text(left - 0.08, y, text, ha="right", va="center_baseline", family=beside.families, **style)
        for place, text in enumerate(above.texts):
            x = left + CELL * (place + 0.5)
            axes.text(x, top - 0.08, text, ha="center", va="bottom", rotation=90, family=above.families, **style)
        key = "blue: for; orange, struck through: against" + ("; framed: aligned" if drawn.aligned else "")
        full = f"full colour: {np.abs(drawn.scores).max():.2f} logits"
        axes.text(MARGIN, height - 0.12, f"{key}\n{full}", size=8, color=MUTED)


def _draw_map(axes: Axes, drawn: _Map, left: float, top: float) -> None:
    shares = drawn.scores / max(np.abs(drawn.scores).max(), np.finfo(float).tiny)
    rows, columns = (places.ravel() for places in np.indices(shares.shape))
    flat = shares.ravel()
    colours = 1 - np.abs(flat)[:, None] * (1 - np.where(flat[:, None] > 0, FULL_RIGHT, FULL_WRONG))
    axes.bar(left + CELL * columns, CELL, CELL, top + CELL * rows, align="edge", color=colours, linewidth=0)
    inner = 0.2 * CELL
    for row, column in zip(*np.nonzero(shares < -SEEN), strict=True):
        x, y = left + CELL * column, top + CELL * row
        axes.plot([x + inner, x + CELL - inner], [y + CELL - inner, y + inner], color=INK, linewidth=0.7)
    for column, row in drawn.aligned:
        place = (left + CELL * column, CELL, CELL, top + CELL * row)
        axes.bar(*place, align="edge", color="none", edgecolor=INK, linewidth=1)
    axes.bar(
        left,
        CELL * len(drawn.rows),
        CELL * len(drawn.columns),
        top,
        align="edge",
        color="none",
        edgecolor=LINE,
        linewidth=0.8,
    )
