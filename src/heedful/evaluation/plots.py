"""Pictures of an evaluation and of a training run, as PNG or SVG.

The same data give the same bytes. matplotlib is imported by the functions, not with the module: it takes a
large part of a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heedful.checkpoint.atomic import replace_files
from heedful.errors import DataError, RequestError
from heedful.evaluation.lettering import BASE_FONT, Lettering, letter
from heedful.metrics import CLASSIFICATION_METRICS, MULTI_LABEL_METRICS, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]
Curve = tuple[Floats, Floats]

# Okabe and Ito 2008: told apart by every kind of colour vision.
BLUE, ORANGE = "#0072B2", "#D55E00"
METRIC_COLOURS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK, MUTED, LINE = "#222222", "#666666", "#E4E4E4"
FULL_RIGHT, FULL_WRONG = (np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for code in (BLUE, ORANGE))

MAX_CLASSES_DRAWN = 160
LOWER_IS_BETTER = {
    metric.name for metric in (*CLASSIFICATION_METRICS, *MULTI_LABEL_METRICS) if metric.direction == "lower"
}


def save_confusion_matrix(matrix: Integers, labels: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix (C, C), rows the true classes, into a PNG or SVG file.

    Right answers are blue, wrong ones orange, and darker is a larger share of the true class (errors on a
    square-root scale, so that rare ones show). Past 160 classes, those with the most errors are drawn. A
    label that no installed font can draw is replaced in a PNG by # and the number of its class, from 0; an
    SVG keeps the label, for its reader's fonts.

    Raises RequestError for another suffix than .png and .svg; OutputError or JobError where ``path`` cannot
    be written.
    """
    errors = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    drawn = np.sort(np.argsort(-errors, kind="stable")[:MAX_CLASSES_DRAWN])
    part = np.ix_(drawn, drawn)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    lettering = letter({int(c): labels[c] for c in drawn}, by_reader=path.suffix.lower() == ".svg")
    grid = _Grid.of(len(drawn), lettering)
    remarks = ["blue: right, orange: wrong; darker: a larger share of the row"]
    if len(drawn) < len(labels):
        remarks.append(f"only the {len(drawn)} of {len(labels):,} classes with the most errors")
    if lettering.replaced:
        remarks.append("#: a class by its number, from 0; no installed font has its name")
    with figure_at(path, grid.width, grid.height) as figure:
        axes = figure.add_axes(grid.place)
        _draw_cells(axes, matrix[part], shares[part], grid.cell)
        _label_classes(axes, grid, lettering)
        _write_around(figure, grid, "\n".join(remarks))


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where things go in the picture of a confusion matrix; lengths in inches, font sizes in points."""

    size: int
    cell: float
    font_size: float
    angle: float
    """Of the labels below the columns, in degrees: level if they are short, upright if they are many."""
    left: float
    below: float

    @classmethod
    def of(cls, size: int, lettering: Lettering) -> _Grid:
        cell = float(np.clip(7 / size, 0.16, 0.75))
        font_size = float(np.clip(0.62 * cell * 72, 6, 10))
        em = font_size / 72
        label_width = 1.03 * em * lettering.widest
        angle = 0 if label_width < 0.92 * cell else 45 if cell > 0.3 else 90
        below = em + label_width * np.sin(np.radians(angle))
        return cls(size, cell, font_size, angle, left=label_width + 0.5, below=below + 0.45)

    @property
    def side(self) -> float:
        return self.cell * self.size

    @property
    def width(self) -> float:
        return max(self.left + self.side + 0.3, 4.6)

    @property
    def height(self) -> float:
        return self.below + self.side + 0.9

    @property
    def place(self) -> tuple[float, float, float, float]:
        """Of the axes, in shares of the figure: left, bottom, width, height."""
        return (
            self.left / self.width,
            self.below / self.height,
            self.side / self.width,
            self.side / self.height,
        )


def _draw_cells(axes: Axes, matrix: Integers, shares: Floats, cell: float) -> None:
    size = len(matrix)
    axes.set(xlim=(0, size), ylim=(size, 0))
    rows, columns = np.nonzero(matrix)
    right = rows == columns
    strength = np.where(right, shares[rows, columns], np.sqrt(shares[rows, columns]))[:, None]
    colours = 1 - (0.06 + 0.94 * strength) * (1 - np.where(right[:, None], FULL_RIGHT, FULL_WRONG))
    axes.bar(columns, 1, 1, rows, align="edge", color=colours, linewidth=0)
    axes.vlines(np.arange(size + 1), 0, size, colors=LINE, linewidths=0.5, clip_on=False)
    axes.hlines(np.arange(size + 1), 0, size, colors=LINE, linewidths=0.5, clip_on=False)
    digits = len(str(matrix.max()))
    font_size = min(72 * cell * min(0.42, 0.9 / (0.64 * digits)), 13)
    for row, column, dark in zip(rows, columns, strength[:, 0] > 0.55, strict=True):
        axes.text(
            column + 0.5,
            row + 0.5,
            str(matrix[row, column]),
            size=font_size,
            color="white" if dark else INK,
            ha="center",
            va="center_baseline",
        )


def _label_classes(axes: Axes, grid: _Grid, lettering: Lettering) -> None:
    centres = np.arange(grid.size) + 0.5
    style: dict[str, Any] = {"size": grid.font_size, "family": lettering.families, "color": INK, "parse_math": False}
    turned: dict[str, Any] = {
        "rotation": grid.angle,
        "ha": "right",
        "va": "center",
        "rotation_mode": "anchor",
    }
    axes.set_xticks(centres, lettering.texts, **style, **(turned if grid.angle else {}))
    axes.set_yticks(centres, lettering.texts, **style)
    axes.tick_params(length=0, pad=4)
    axes.spines[:].set_visible(False)


def _write_around(figure: Figure, grid: _Grid, subtitle: str) -> None:
    left, bottom, width, height = grid.place
    figure.text(0.2 / grid.width, 1 - 0.3 / grid.height, "Confusion matrix", size=12, weight="bold", color=INK)
    figure.text(0.2 / grid.width, 1 - 0.42 / grid.height, subtitle, size=8, color=MUTED, va="top")
    centred: dict[str, Any] = {"size": 9, "color": MUTED, "ha": "center", "va": "center"}
    figure.text(left + width / 2, 0.2 / grid.height, "predicted", **centred)
    figure.text(0.2 / grid.width, bottom + height / 2, "true", rotation=90, **centred)


def save_loss_curves(records: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Draw a run's losses over steps, and below them its validation metrics, into a PNG or SVG file.

    ``records`` are those of metrics.jsonl: each has a ``step`` and any of ``train_loss``, ``validation_loss``
    and ``validation_<metric>``; other keys are left out.

    Raises DataError where no record holds a loss, RequestError for another suffix than .png and .svg, and
    OutputError or JobError where ``path`` cannot be written.
    """
    curves = _curves(records)
    training, validation = curves.pop("train_loss", None), curves.pop("validation_loss", None)
    if training is None and validation is None:
        raise DataError(
            f"no record has a finite train_loss or validation_loss to draw into {path}",
            remedy="Train until the first record is written.",
        )
    panels = _metric_panels(curves)
    with figure_at(path, 7.2, 3.0 * (1 + len(panels))) as figure:
        figure.set_layout_engine("constrained")
        losses, *rest = figure.subplots(1 + len(panels), 1, sharex=True, squeeze=False)[:, 0]
        if training is not None:
            _draw_training(losses, *training)
        if validation is not None:
            _draw_validation(losses, *validation)
        _dress(losses, "loss (nats)")
        for axes, (title, lines) in zip(rest, panels.items(), strict=True):
            for (label, points), colour in zip(lines.items(), cycle(METRIC_COLOURS), strict=False):
                axes.plot(*points, "o-", color=colour, markersize=3.5, label=label)
            _dress(axes, title)
        (losses, *rest)[-1].set_xlabel("step", color=MUTED)


def _metric_panels(curves: Mapping[str, Curve]) -> dict[str, dict[str, Curve]]:
    """The validation metrics by which way is better; equal curves, such as accuracy and micro F1, are one."""
    equal: dict[tuple[bool, bytes], list[str]] = {}
    for name in curves:
        metric = name.removeprefix("validation_")
        equal.setdefault((metric in LOWER_IS_BETTER, np.round(curves[name], 6).tobytes()), []).append(metric)
    panels: dict[str, dict[str, Curve]] = {}
    for (lower, _), metrics in sorted(equal.items(), key=lambda item: item[0][0]):
        label = ", ".join(map(readable, metrics))
        title = "lower is better" if lower else "higher is better"
        panels.setdefault(title, {})[label] = curves[f"validation_{metrics[0]}"]
    return panels


def _curves(records: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    """The finite (steps, values) of the training loss and of everything measured in validation."""
    points: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for name, value in record.items():
            if (name == "train_loss" or name.startswith("validation_")) and np.isfinite(value):
                points.setdefault(name, []).append((record["step"], value))
    return {name: (values[:, 0], values[:, 1]) for name, values in ((n, np.array(p)) for n, p in points.items())}


def _draw_training(axes: Axes, steps: Floats, values: Floats) -> None:
    """The values, faint, and their centred moving mean over a twentieth of the curve."""
    window = np.ones(max(len(values) // 20, 1))
    mean = np.convolve(values, window, "same") / np.convolve(np.ones_like(values), window, "same")
    axes.plot(steps, values, color=BLUE, alpha=0.3, linewidth=0.9)
    axes.plot(steps, mean, color=BLUE, linewidth=1.8, label="training")


def _draw_validation(axes: Axes, steps: Floats, values: Floats) -> None:
    best = int(values.argmin())
    axes.plot(steps, values, "o-", color=ORANGE, markersize=3.5, label="validation")
    label = f"lowest: {values[best]:.3f} at step {steps[best]:,.0f}"
    axes.plot(steps[best], values[best], "o", color=ORANGE, markersize=9, fillstyle="none", label=label)


def _dress(axes: Axes, quantity: str) -> None:
    axes.set_ylabel(quantity, color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#BBBBBB")
    axes.tick_params(colors=MUTED, labelsize=8.5)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


@contextmanager
def figure_at(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A white figure, in inches, that is written to ``path`` at the end.

    It is drawn with matplotlib's own defaults, whatever the user's configuration says; that is back in force
    afterwards.
    """
    import matplotlib as mpl  # noqa: PLC0415 - takes long
    from matplotlib.figure import Figure  # noqa: PLC0415

    suffix = path.suffix.lower()
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": None},
    }
    if suffix not in metadata:
        raise RequestError(f"cannot draw into {path}", remedy="Name a file that ends in .png or .svg.")
    with mpl.rc_context(), replace_files(path.parent) as staging, warnings.catch_warnings():
        mpl.rcdefaults()
        # Text stays text in an SVG: it can be searched, and the reader's fonts draw what ours cannot.
        mpl.rcParams.update({"svg.hashsalt": "heedful", "svg.fonttype": "none", "font.sans-serif": [BASE_FONT]})
        # Only an SVG still holds characters that no installed font has; measuring them is what warns.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(width, height), facecolor="white")
        yield figure
        figure.savefig(staging / path.name, format=suffix[1:], dpi=150, metadata=metadata[suffix])
