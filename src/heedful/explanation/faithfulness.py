"""How far explanations can be trusted: what the classifier itself does without the words that they name.

Words are hidden behind the mask token, as they are: nothing is tokenized anew, and special tokens stay. K rankings of a
text, W words, N texts.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial, reduce
from operator import itemgetter
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from torch import Tensor

from heedful.data import Columns, Example, ExampleStore, LabelKind, Source, read_examples
from heedful.errors import DataError, JobError, RequestError, UnsupportedError
from heedful.explanation.attention import looks_at
from heedful.explanation.human import Marks, phrase_agreement, polarities, rationale_agreement, read_marks
from heedful.explanation.labels import METHODS, Method, Reading, read, without_words
from heedful.explanation.passes import quiet, transformer_of
from heedful.explanation.rows import Row, RowScores, batches, plain, stacked
from heedful.metrics import Direction, Metric, MetricValue, bootstrap, readable
from heedful.model import Transformer
from heedful.nn.watching import Look
from heedful.settings import nearest
from heedful.tasks import Tally, TextClassifier

Floats = NDArray[np.float64]

RATIOS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares of the words that are hidden, or left (DeYoung et al. 2020, section 5)."""
STEPS = 10
"""Equal steps in which all words are hidden, or shown; the areas use the ratios' points too."""
RANDOM = "random"
DRAWS = 3
"""Random rankings of a text, whose measures are averaged."""
CHUNK = 32
"""Texts whose explanations are made together."""

BY_MODEL: dict[str, Direction] = {
    "comprehensiveness": "higher",
    "sufficiency": "lower",
    "deletion": "lower",
    "insertion": "higher",
}
METRICS: dict[str, Direction] = {
    **BY_MODEL,
    "rationale_f1": "higher",
    "rationale_auprc": "higher",
    "rationale_iou_f1": "higher",
    "phrase_correlation": "higher",
    "phrase_signs": "higher",
}
"""Which way is better.

- comprehensiveness: fall of the label's probability when the words that score highest are hidden, the mean over
  :data:`RATIOS`; sufficiency: when only they are left (DeYoung et al. 2020, section 4: AOPC).
- deletion: area under the probability as words are hidden, the highest score first; insertion: as they are shown
  (Petsiuk et al. 2018, section 4.2).
- rationale_…: agreement with the parts of a text that people took its label from, see
  :func:`heedful.explanation.human.rationale_agreement`.
- phrase_…: agreement with people's judgement of phrases, see :func:`heedful.explanation.human.phrase_agreement`.
"""


@dataclass(frozen=True)
class Means:
    """Statistics whose metrics are means over N texts, of M values each."""

    values: Floats
    """(N, M)."""

    @property
    def num_examples(self) -> int:
        return len(self.values)

    def tally(self, weights: Floats) -> Floats:
        """The means in R weighted copies, (R, N) -> (R, M)."""
        means: Floats = weights @ self.values / weights.sum(1, keepdims=True)
        return means

    def exchanged(self, other: Self, swaps: Floats) -> Floats:
        """The means where ``other`` has the values of text n in copy r if ``swaps[r, n]`` is 1; (R, N) -> (R, M)."""
        means: Floats = self.values.mean(0) + swaps @ (other.values - self.values) / len(self.values)
        return means


@dataclass(frozen=True)
class Faithfulness:
    """How far explanations of a classifier can be trusted, method by method."""

    methods: dict[str, dict[str, MetricValue]]
    """Method -> metric -> mean over texts; metrics of human judgement only where there is one."""
    curves: dict[str, dict[str, tuple[float, ...]]]
    """Method -> comprehensiveness or sufficiency -> the mean at each of :data:`RATIOS`."""
    seconds: dict[str, float]
    """Method -> to explain a text, the mean."""
    num_examples: int
    values: dict[str, dict[str, Floats]] = field(default_factory=dict, repr=False)
    """Method -> metric -> (N,), of each text; NaN where the text has none."""

    def scores(self, method: str) -> dict[str, float]:
        """Metric -> value, for a classifier's card."""
        return {metric: value.value for metric, value in self.methods[method].items()}

    def to_json(self) -> str:
        """As a JSON document, without the values of each text."""
        told = {name: value for name, value in asdict(self).items() if name != "values"}
        return json.dumps({"ratios": RATIOS, **told}, indent=2, ensure_ascii=False) + "\n"

    def __rich__(self) -> RenderableType:
        """Method × metric: a table for what the model does, and one for what people say where they do."""
        there = list(next(iter(self.methods.values())))
        title = f"faithfulness, on {self.num_examples:,} texts"
        parts: list[RenderableType] = [self._table(title, [name for name in there if name in BY_MODEL], costs=True)]
        if by_people := [name for name in there if name not in BY_MODEL]:
            parts.append(self._table("agreement with people", by_people))
        value = self.methods[next(iter(self.methods))][there[0]]
        intervals = "" if value.low is None else f"; below, {value.confidence:.0%} intervals"
        return Group(*parts, Text(f"* the best; ↑ more is better, ↓ less is{intervals}", style="dim"))

    def _table(self, title: str, metrics: Sequence[str], *, costs: bool = False) -> Table:
        table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
        table.add_column("method", min_width=13)
        best = {}
        for metric in metrics:
            sign, choose = ("↑", max) if METRICS[metric] == "higher" else ("↓", min)
            best[metric] = choose(row[metric].value for row in self.methods.values())
            heading = readable(metric).replace(" ", "\n", 1).replace("comprehensiveness", "comprehen-\nsiveness")
            table.add_column(f"{heading} {sign}", justify="right", no_wrap=True)
        if costs:
            table.add_column("ms\na text", justify="right", style="dim")
        for method, row in self.methods.items():
            cells = [_cell(row[metric], best=row[metric].value == best[metric]) for metric in metrics]
            table.add_row(readable(method), *cells, *([f"{1000 * self.seconds[method]:,.1f}"] if costs else []))
        return table


def _cell(value: MetricValue, *, best: bool) -> Text:
    """The mean, and its interval below."""
    number = Text(value.number.replace("-", "−"))
    if best:
        number = Text(f"*{number}", "bold")
    if value.low is None or value.high is None:
        return number
    return number.append(f"\n{value.low:.2f}–{value.high:.2f}".replace("-", "−"), "dim not bold")


def measure_faithfulness(
    task: TextClassifier,
    data: ExampleStore | str | Path,
    *,
    methods: Sequence[str] | None = None,
    columns: Columns | None = None,
    limit: int | None = None,
    resamples: int = 1000,
    tally: Tally | None = None,
) -> Faithfulness:
    """Measure how far explanations of the most probable label can be trusted on some texts.

    Args:
        data: texts, whose labels are not looked at. Of a file, folder or data set the columns ``rationales`` and
            ``tree`` are compared with, where it has them; see :mod:`heedful.explanation.human`.
        methods: names of :data:`heedful.explanation.METHODS`, ``attention``, ``rollout`` or ``random``; all that the
            model allows if not given.
        columns: the columns' names; those of the training data if not given.
        limit: so many texts, spread evenly over the data; all if not given.
        resamples: bootstrap resamples behind the intervals; 0 for no intervals.
        tally: counts the work text by text, for whoever wants to follow it.

    Raises:
        RequestError: there is no such method, or ``limit`` is below 1.
        UnsupportedError: a method does not suit the model.
        DataError: the data cannot be read, or what people said of a text is malformed.
        JobError: the model's answers are not finite.
    """
    names = _chosen(task, methods)
    examples, marks = _texts(task, data, columns, limit)
    tally = tally or Tally()
    tally.total = len(examples)
    seconds = dict.fromkeys(names, 0.0)
    parts: dict[str, list[Floats]] = {name: [] for name in names}
    for start in range(0, len(examples), CHUNK):
        some = slice(start, start + CHUNK)
        readings = read(task, examples[some])
        labels = [int(without_words(task, reading, [()])[0].argmax()) for reading in readings]
        scores = {}
        for name in names:
            began = time.perf_counter()
            scores[name] = _scores(task, readings, labels, name, start)
            seconds[name] += (time.perf_counter() - began) / len(examples)
        for number, (reading, label, mark) in enumerate(zip(readings, labels, marks[some], strict=True)):
            own = {name: of_texts[number] for name, of_texts in scores.items()}
            for name, row in _measured(task, reading, label, mark, own).items():
                parts[name].append(row)
            tokens = sum(map(len, reading.windows))
            tally.add(texts=1, tokens=tokens, cells=tokens)
    return _summary({name: np.stack(part) for name, part in parts.items()}, seconds, resamples)


def methods_of(task: TextClassifier) -> tuple[str, ...]:
    """What can be measured on a classifier: ways to explain it, and what they are compared with."""
    if not isinstance(task.model, Transformer):
        return "leave_one_out", RANDOM
    one_stack = (task.model.encoder is None) != (task.model.decoder is None)
    return (*METHODS, *(BASELINES if one_stack else ()), RANDOM)


def _chosen(task: TextClassifier, methods: Sequence[str] | None) -> tuple[str, ...]:
    allowed = methods_of(task)
    known = (*METHODS, *BASELINES, RANDOM)
    names = allowed if methods is None else tuple(dict.fromkeys(methods))
    if not names:
        raise RequestError("no method is asked for", remedy=f"Choose from {', '.join(allowed)}.")
    for name in names:
        if name not in known:
            raise RequestError(f"{name!r:.60} is no method; {nearest(str(name), known)}")
        if name not in allowed:
            raise UnsupportedError(f"{name} does not suit this model", remedy=f"Choose from {', '.join(allowed)}.")
    return names


def _texts(
    task: TextClassifier, data: ExampleStore | str | Path, columns: Columns | None, limit: int | None
) -> tuple[list[Example], list[Marks]]:
    """Examples, and what people said of each."""
    if limit is not None and limit < 1:
        raise RequestError(f"limit is {limit}", remedy="Use 1 or more texts.")
    if isinstance(data, ExampleStore):
        examples = _spread(data, limit)
        return examples, [Marks()] * len(examples)
    source = Source.parse(str(data))
    reader = read_examples(source, columns or task.card.columns, label_kind=LabelKind.NONE)
    with ExampleStore(example for example in reader if example.text) as store:
        examples = _spread(store, limit)
    return examples, read_marks(source, examples)


def _spread(store: ExampleStore, limit: int | None) -> list[Example]:
    if not len(store):
        raise DataError("there is no text to explain", remedy="Give at least one.")
    return store.spread(limit)


def _scores(
    task: TextClassifier, readings: Sequence[Reading], labels: Sequence[int], name: str, start: int
) -> list[Floats]:
    """Scores (K, W) of the words of each text, the first of which is the one of number ``start``."""
    if name == RANDOM:
        return [
            np.random.default_rng([start + number]).standard_normal((DRAWS, len(reading.words)))
            for number, reading in enumerate(readings)
        ]
    method = (METHODS | BASELINES)[name]
    found = iter(
        method.score(task, [row for pair in zip(readings, labels, strict=True) for row in pair[0].rows(pair[1], None)])
    )
    return [
        reading.by_word([next(found) for _ in reading.windows], by_group=method.by_group)[None] for reading in readings
    ]


def _measured(
    task: TextClassifier, reading: Reading, label: int, marks: Marks, scores: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Method -> what :func:`removed` and people say of its scores, (17,); NaN where there is nothing to say."""
    seen = np.array(sorted({word for window in reading.windows for word in reading.groups(window)}), dtype=np.int64)
    if not len(seen):
        return dict.fromkeys(scores, np.full(17, np.nan))
    counts = counts_of(len(seen))
    orders = {
        name: [seen[np.argsort(-one, kind="stable")].tolist() for one in rankings[:, seen]]
        for name, rankings in scores.items()
    }
    every = [order for of_method in orders.values() for order in of_method]
    ways = dict.fromkeys(frozenset(part) for order in every for k in counts for part in (order[:k], order[k:]))
    probabilities = without_words(task, reading, [sorted(way) for way in ways])[:, label]
    if not np.isfinite(probabilities).all():
        raise JobError(
            f"the model's answers for {reading.text!r:.60} are not finite",
            remedy="Look at its weights with heedful doctor; in half precision, load it with dtype float32.",
        )
    known = dict(zip(ways, probabilities.tolist(), strict=True))
    agreement = partial(_agreement, reading, seen, marks, polarities(task.labels)[label])
    rows = {}
    for name, of_method in orders.items():
        found = [
            [
                *removed(
                    np.array([known[frozenset(order[:k])] for k in counts]),
                    np.array([known[frozenset(order[k:])] for k in counts]),
                    counts,
                ),
                *agreement(one),
            ]
            for order, one in zip(of_method, scores[name], strict=True)
        ]
        rows[name] = np.mean(found, axis=0)
    return rows


def counts_of(num_words: int) -> list[int]:
    """Numbers of words that are hidden, or shown: those of the ratios, and as many steps from none to all."""
    return sorted({*_at_ratios(num_words), *(round(num_words * step / STEPS) for step in range(STEPS + 1))})


def _at_ratios(num_words: int) -> list[int]:
    """At least one word."""
    return [math.ceil(num_words * ratio - 1e-9) for ratio in RATIOS]


def removed(without: Floats, left: Floats, counts: Sequence[int]) -> Floats:
    """Comprehensiveness at each ratio, sufficiency at each ratio, and the areas of deletion and insertion, (12,).

    Args:
        without: the label's probability without so many of the words that score highest.
        left: with these alone.
        counts: as of :func:`counts_of`, from none to all.
    """
    at = np.searchsorted(counts, _at_ratios(counts[-1]))
    shares = np.array(counts) / counts[-1]
    areas = np.trapezoid(without, shares), np.trapezoid(left, shares)
    return np.array([*(without[0] - without[at]), *(without[0] - left[at]), *areas])


def _agreement(reading: Reading, seen: NDArray[np.int64], marks: Marks, polarity: float, scores: Floats) -> Floats:
    """What people say of scores (W,): three of a rationale, two of phrases."""
    starts = np.array([start for start, _ in reading.words])
    inside = np.zeros(len(starts), dtype=bool)
    for start, end in marks.rationale:
        inside |= (start <= starts) & (starts < end)
    found = np.full(5, np.nan)
    if inside[seen].any():
        found[:3] = rationale_agreement(scores[seen], inside[seen])
    if marks.phrases and polarity:
        begins, ends, labels = np.array(marks.phrases).T
        sums = np.append(0.0, np.cumsum(scores))
        of_phrases = sums[np.searchsorted(starts, ends)] - sums[np.searchsorted(starts, begins)]
        found[3:] = phrase_agreement(polarity * of_phrases, labels)
    return found


def _summary(parts: Mapping[str, Floats], seconds: dict[str, float], resamples: int) -> Faithfulness:
    """From what each text gives, (N, 17) a method, to means with their intervals."""
    size = len(RATIOS)
    values: dict[str, dict[str, Floats]] = {
        name: dict(
            zip(
                METRICS, [part[:, :size].mean(1), part[:, size : 2 * size].mean(1), *part[:, 2 * size :].T], strict=True
            )
        )
        for name, part in parts.items()
    }
    rows: dict[str, dict[str, MetricValue]] = {name: {} for name in parts}
    for metric, direction in METRICS.items():
        columns = np.stack([of_method[metric] for of_method in values.values()], axis=1)
        defined = ~np.isnan(columns).any(1)
        if not defined.any():
            continue
        pick = [Metric(name, direction, "", itemgetter((..., n))) for n, name in enumerate(parts)]
        for name, value in bootstrap(pick, Means(columns[defined]), resamples=resamples).items():
            rows[name][metric] = value
    if not next(iter(rows.values())):
        raise DataError("no text has a word that the model sees", remedy="Give texts in a script that it knows.")
    curves = {}
    for name, part in parts.items():
        means = np.nanmean(part[:, : 2 * size], axis=0).tolist()
        curves[name] = {"comprehensiveness": tuple(means[:size]), "sufficiency": tuple(means[size:])}
    return Faithfulness(rows, curves, seconds, len(next(iter(parts.values()))), values=values)


# Looking at attention alone


def _attention(task: TextClassifier, rows: Sequence[Row]) -> list[RowScores]:
    """Where the last layer looks, from the places that the answer is read from; mean over heads."""
    return _looking(task, rows, lambda looks: looks[-1].weights().mean(1))


def _rollout(task: TextClassifier, rows: Sequence[Row]) -> list[RowScores]:
    """The product of all layers' attention, half of each going straight on (Abnar and Zuidema 2020, section 3)."""

    def rolled(looks: Sequence[Look]) -> Tensor:
        weights = (look.weights().mean(1) for look in looks)
        layers = ((one + torch.eye(one.shape[-1], dtype=one.dtype, device=one.device)) / 2 for one in weights)
        return reduce(lambda below, layer: layer @ below, layers)

    return _looking(task, rows, rolled)


def _looking(task: TextClassifier, rows: Sequence[Row], mix: Callable[[Sequence[Look]], Tensor]) -> list[RowScores]:
    """Scores (S,) of tokens: what ``mix`` makes of all looks, (R, S, S), in the rows that the head pools."""
    model = transformer_of(task)
    kind = "decoder" if model.encoder is None else "encoder"
    found: dict[int, RowScores] = {}
    for numbers in batches(rows):
        inputs = stacked(task, [rows[number] for number in numbers])
        logits: list[Tensor] = []
        with quiet(task.network):
            looks = looks_at(model, kind, partial(_run, task, inputs, logits))
            pooled = task.head.pool(mix(looks), inputs[1])
        for place, number in enumerate(numbers):
            length = len(rows[number].encoding)
            found[number] = RowScores(plain(logits[0][place]), plain(pooled[place, :length]), None)
    return [found[number] for number in range(len(rows))]


def _run(task: TextClassifier, inputs: tuple[Tensor, Tensor, Tensor | None], logits: list[Tensor]) -> None:
    logits.append(task.network(*inputs))


BASELINES = {"attention": Method(_attention), "rollout": Method(_rollout)}
"""What explanations are compared with, beside ``random``: where a model looks is no method of its own."""
