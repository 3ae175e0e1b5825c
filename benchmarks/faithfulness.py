"""How far each way to explain a classifier can be trusted, and what an explanation costs, Captum's beside ours.

Run: python -m benchmarks.faithfulness MODEL=DATA=TEXTS=TIMED [MODEL=DATA=TEXTS=TIMED ...] [--rounds 3] [--threads 1]
Models are folders of fine-tuned classifiers, such as those of the recipes banking77-minilm and eraser_movies-minilm;
data are what they have not learnt from, of which so many texts are measured, and so many timed one by one. Needs
captum, which the extra `explain` brings. Writes a dated report under benchmarks/reports/. Processor time is what
remains of wall time on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.publishing import machine, publish, today
from captum import __version__ as captum_version
from captum.attr import LayerIntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

import heedful
from heedful.data import Example
from heedful.explanation import METHODS, Faithfulness, measure_faithfulness
from heedful.explanation.faithfulness import BASELINES, DRAWS, METRICS, RANDOM, RATIOS, Means
from heedful.explanation.integrated import POINTS
from heedful.explanation.labels import Method, read
from heedful.explanation.passes import transformer_of
from heedful.explanation.rows import BUDGET, Row, covering, stacked
from heedful.metrics import Metric, approximate_randomisation, readable
from heedful.tasks import TextClassifier

OURS, REFERENCE = "contributions", "integrated_gradients"
TARGET = 20
"""Times that ours should be cheaper than the reference."""
Floats = NDArray[np.float64]
Score = Callable[[TextClassifier, Sequence[Row]], list[Floats]]


def captum_of(points_at_once: Callable[[int], int]) -> Score:
    """Captum's integrated gradients with our baseline and rule.

    Args:
        points_at_once: of a row of so many tokens.
    """

    def score(task: TextClassifier, rows: Sequence[Row]) -> list[Floats]:
        return [_by_captum(task, row, points_at_once(len(row.encoding))) for row in rows]

    return score


def _by_captum(task: TextClassifier, row: Row, points: int) -> Floats:
    ids, mask, types = stacked(task, [row])
    assert types is None, "single texts"

    def claim(ids: Tensor) -> Tensor:
        return row.claim(task.network(ids, mask.expand(len(ids), -1)))

    method = LayerIntegratedGradients(claim, transformer_of(task).token_embedding)
    absent = torch.where(torch.tensor(row.encoding.special), ids, covering(task))
    found = method.attribute(ids, absent, n_steps=POINTS, method="gausslegendre", internal_batch_size=points)
    scores: Floats = found.sum(-1)[0].detach().double().numpy()
    return scores


def ours(method: Method) -> Score:
    return lambda task, rows: [found.scores for found in method.score(task, rows)]


TIMED: dict[str, Score] = {
    **{name: ours(method) for name, method in (METHODS | BASELINES).items()},
    "Captum, all points at once": captum_of(lambda _: POINTS),
    "Captum, in our batches": captum_of(lambda length: max(1, BUDGET // length)),
}


class Seconds(NamedTuple):
    """What an explanation cost."""

    wall: float
    processor: float


def measure_costs(task: TextClassifier, texts: Sequence[str], rounds: int) -> tuple[dict[str, list[Seconds]], float]:
    """What it costs to explain each text alone, methods in turn; and how far Captum's scores are from ours at most.

    The distance is relative to the largest score of a window.
    """
    readings = read(task, [Example(text, None, (), number) for number, text in enumerate(texts, 1)])
    costs: dict[str, list[Seconds]] = {name: [] for name in TIMED}
    apart = 0.0
    shortest = min(readings, key=lambda reading: len(reading.text))
    to_warm_up = (shortest, 1)
    for reading, repeats in [to_warm_up, *((reading, rounds) for reading in readings)]:
        rows = reading.rows(0, None)
        turns: dict[str, list[Seconds]] = {name: [] for name in TIMED}
        for _ in range(repeats):
            found = {}
            for name, score in TIMED.items():
                wall, processor = time.perf_counter(), time.process_time()
                found[name] = score(task, rows)
                turns[name].append(Seconds(time.perf_counter() - wall, time.process_time() - processor))
            pairs = zip(found[REFERENCE], found["Captum, all points at once"], strict=True)
            apart = max(apart, *(float(np.abs(own - theirs).max() / np.abs(own).max()) for own, theirs in pairs))
        for name, seconds in turns.items():
            costs[name].append(min(seconds, key=lambda one: one.processor))
    return {name: of_texts[1:] for name, of_texts in costs.items()}, apart


def faithfulness_lines(found: Faithfulness) -> Iterator[str]:
    """The table of metrics, the curves, and where ours is not the best."""
    metrics = [metric for metric in METRICS if metric in found.methods[OURS]]
    arrows = {"higher": "↑", "lower": "↓"}
    yield f"Means over {found.num_examples:,} texts with 95 % intervals; the best is bold."
    yield ""
    yield f"| method | {' | '.join(f'{readable(metric)} {arrows[METRICS[metric]]}' for metric in metrics)} |"
    yield f"|---|{'---|' * len(metrics)}"
    for method, row in found.methods.items():
        cells = [
            (f"**{row[metric].number}**" if metric_best(found, metric) == method else row[metric].number)
            + f" ({row[metric].interval})"
            for metric in metrics
        ]
        yield f"| {readable(method)} | {' | '.join(cells)} |"
    yield ""
    yield f"| fall without, and with alone, the first | {' | '.join(f'{ratio:.0%}' for ratio in RATIOS)} |"
    yield f"|---|{'---|' * len(RATIOS)}"
    for method, curves in found.curves.items():
        pairs = zip(curves["comprehensiveness"], curves["sufficiency"], strict=True)
        yield f"| {readable(method)} | {' | '.join(f'{hidden:.3f}, {left:.3f}' for hidden, left in pairs)} |"
    yield ""
    yield f"{readable(OURS).capitalize()} against each of the others, differences with p of approximate randomisation:"
    yield ""
    for metric in metrics:
        yield f"- {readable(metric)} {arrows[METRICS[metric]]}: {', '.join(differences(found, metric))}"


def metric_best(found: Faithfulness, metric: str) -> str:
    choose = max if METRICS[metric] == "higher" else min
    return choose(found.methods, key=lambda method: found.methods[method][metric].value)


def differences(found: Faithfulness, metric: str) -> Iterator[str]:
    """Ours less each other; a loss is said."""
    own = found.values[OURS][metric]
    defined = ~np.isnan(own)
    mean: Metric[Any] = Metric(metric, METRICS[metric], "", lambda means: means[:, 0])
    for method, values in found.values.items():
        if method == OURS:
            continue
        pair = [Means(column[defined][:, None]) for column in (values[metric], own)]
        chance = approximate_randomisation([mean], *pair, trials=9999)[metric]
        difference = float((own - values[metric])[defined].mean())
        worse = (difference < 0) == (METRICS[metric] == "higher") and difference and chance < 0.05
        yield f"{readable(method)} {difference:+.3f} (p {chance:.4f}{', **worse**' if worse else ''})"


def cost_lines(costs: dict[str, list[Seconds]], apart: float, found: Faithfulness) -> Iterator[str]:
    """Medians over texts, and how many times cheaper than the reference."""

    def times(name: str) -> float:
        pairs = zip(costs[REFERENCE], costs[name], strict=True)
        return statistics.median(reference.processor / own.processor for reference, own in pairs)

    yield f"{len(costs[REFERENCE])} texts alone, and those above in batches:"
    yield ""
    yield "| method | one text alone, wall | processor | of integrated gradients | in batches, wall |"
    yield "|---|---|---|---|---|"
    for name, values in costs.items():
        wall, processor = (statistics.median(part) for part in zip(*values, strict=True))
        batched = ""
        if name in found.seconds:
            ratio = found.seconds[REFERENCE] / found.seconds[name]
            batched = f"{1000 * found.seconds[name]:.1f} (1/{ratio:.1f})"
        yield f"| {readable(name)} | {1000 * wall:.1f} | {1000 * processor:.1f} | 1/{times(name):.1f} | {batched} |"
    yield ""
    yield f"Captum's integrated gradients and ours differ by at most {apart:.1e} of the largest score of a window."
    best = [metric for metric in METRICS if metric in found.methods[OURS] and metric_best(found, metric) == OURS]
    yield ""
    yield (
        f"Target: best of the methods at 1/{TARGET} of the cost of integrated gradients. {readable(OURS).capitalize()} "
        f"cost 1/{times(OURS):.0f}, and are the best by {', '.join(map(readable, best)) or 'no metric'}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", nargs="+", metavar="MODEL=DATA=TEXTS=TIMED")
    parser.add_argument("--rounds", type=int, default=3, help="times that each text is explained, the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lines = [
        f"# Faithfulness of explanations, {today()}",
        "",
        f"{machine(options.threads)}, Captum {captum_version}. Costs: methods in turn on "
        f"single texts, the fastest of {options.rounds} rounds, medians over texts, ms. Integrated gradients "
        f"from mask tokens, {POINTS} points of Gauss and Legendre. {RANDOM.capitalize()}: mean over {DRAWS} rankings.",
    ]
    for run in options.runs:
        model, data, limit, timed = run.split("=")
        task = heedful.load(model, task="classification")
        assert isinstance(task, TextClassifier)
        found = measure_faithfulness(task, data, limit=int(limit))
        examples = list(task.read(data))
        texts = [examples[place].text for place in np.linspace(0, len(examples) - 1, int(timed)).astype(int)]
        costs = measure_costs(task, texts, options.rounds)
        lines += ["", f"## {Path(model).name}", "", *faithfulness_lines(found), "", *cost_lines(*costs, found)]
    publish("faithfulness", "\n".join(lines))


if __name__ == "__main__":
    main()
