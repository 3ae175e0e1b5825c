"""How the cost of answering grows: with the length of texts, their number, the beams, and the vocabulary.

Run: python -m benchmarks.scaling [--rounds 5] [--threads 2]
Models of random weights, 4 layers of width 256, computed by PyTorch in float32. Each point is the median of its rounds,
which go through all points in turn. Writes a dated report with a picture, both axes logarithmic, under
benchmarks/reports/: a straight line of slope 1 is twice the cost for twice the size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from benchmarks.publishing import REPORTS, machine, publish, today
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heedful.evaluation.plots import BLUE, LINE, MUTED
from heedful.generation import generate, parse_settings
from heedful.model import Transformer, UniformSpec, build

SIZES = UniformSpec(d_model=256, num_layers=4, num_heads=4, d_ff=1024)
VOCABULARY, LENGTH, WRITTEN = 8_000, 32, 24
NAME = "scaling"


@dataclass
class Growth:
    """What grows, and what each size costs."""

    what: str
    sizes: tuple[int, ...]
    work: Callable[[int], Callable[[], object]]
    """Of a size: something to be timed."""
    seconds: dict[int, list[float]] = field(default_factory=dict)

    @property
    def medians(self) -> list[float]:
        """Milliseconds of each size."""
        return [statistics.median(self.seconds[size]) * 1000 for size in self.sizes]

    @property
    def slopes(self) -> list[float]:
        """Of the line between each size and the next, both axes being logarithmic."""
        slopes: list[float] = (np.diff(np.log(self.medians)) / np.diff(np.log(self.sizes))).tolist()
        return slopes


def reading(num_texts: int, length: int) -> Callable[[], object]:
    """An encoder reads."""
    model = build(SIZES.encoder(VOCABULARY), seed=0).eval()
    ids = torch.randint(VOCABULARY, (num_texts, length))
    return lambda: model.encode(ids)


def writing(beams: int, vocabulary: int) -> Callable[[], object]:
    """Eight texts are written, each to the same length."""
    model: Transformer = build(SIZES.encoder_decoder(vocabulary), seed=0).eval()
    ids = torch.randint(vocabulary, (8, LENGTH))
    settings = parse_settings(
        {"num_beams": beams, "min_new_tokens": WRITTEN, "max_new_tokens": WRITTEN}
        | {"decoder_start_token_id": 1, "eos_token_id": 2}
    )
    return lambda: generate(model, ids, settings=settings)


GROWTHS = (
    Growth("tokens of a text that is read", (32, 64, 128, 256, 512, 1024), lambda size: reading(1, size)),
    Growth("texts of 32 tokens read together", (1, 2, 4, 8, 16, 32, 64), lambda size: reading(size, LENGTH)),
    Growth("beams of 8 texts that are written", (1, 2, 4, 8, 16), lambda size: writing(size, VOCABULARY)),
    Growth("vocabulary, 4 beams of 8 texts", (1_000, 4_000, 16_000, 64_000), lambda size: writing(4, size)),
)


def draw() -> Figure:
    """A panel for each growth."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    panels: list[Axes] = list(figure.subplots(2, 2).flat)
    for axes, growth in zip(panels, GROWTHS, strict=True):
        axes.loglog(growth.sizes, growth.medians, marker="o", color=BLUE)
        first = growth.medians[0]
        axes.loglog(growth.sizes, [first * size / growth.sizes[0] for size in growth.sizes], "--", color=MUTED)
        axes.set_xticks(growth.sizes, [f"{size:,}" for size in growth.sizes])
        axes.minorticks_off()
        axes.set_xlabel(growth.what)
        axes.set_ylabel("milliseconds")
        axes.grid(color=LINE)
    return figure


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    points = [(growth, size, growth.work(size)) for growth in GROWTHS for size in growth.sizes]
    for number in range(options.rounds + 1):
        for growth, size, work in points:
            started = time.perf_counter()
            work()
            if number:  # the first round is for warming up
                growth.seconds.setdefault(size, []).append(time.perf_counter() - started)
    lines = [
        f"# How cost grows, {today()}\n",
        f"Models of random weights, {SIZES.num_layers} layers of width {SIZES.d_model}, float32, PyTorch; "
        f"{options.rounds} rounds through all points in turn, medians. {machine(options.threads)}.\n",
        f"![Four panels: time against size, both axes logarithmic]({today()}-{NAME}.svg)\n",
        "| what grows | sizes | milliseconds | slopes, 1: twice the cost for twice the size |",
        "|---|---|---|---|",
    ]
    for growth in GROWTHS:
        cells = (
            growth.what,
            " · ".join(f"{size:,}" for size in growth.sizes),
            " · ".join(f"{value:,.1f}" for value in growth.medians),
            " · ".join(f"{slope:.2f}" for slope in growth.slopes),
        )
        lines.append(f"| {' | '.join(cells)} |")
    publish(NAME, "\n".join(lines))
    draw().savefig(REPORTS / f"{today()}-{NAME}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
