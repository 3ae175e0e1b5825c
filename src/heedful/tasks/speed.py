"""How fast a task answers on this machine, and what short trials of it are remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from heedful.checkpoint.atomic import write_text
from heedful.data import Columns, Example, LabelKind, read_examples
from heedful.inference import cache_folder
from heedful.tasks.base import Tally, Task

SHIPPED = "helpdesk:test"
TRIALS_FILE = "trials.json"
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Speed:
    """What was measured, in medians."""

    texts_per_second: float
    """Of all texts together."""
    tokens_per_second: float
    """Of them, without padding."""
    padding_share: float
    latency: float
    """Seconds for one text by itself."""
    latency_p95: float
    """Seconds that 95 % of such texts stay below."""
    written_per_second: float = 0.0
    """Tokens that the beams of all texts together write."""


def some_texts() -> list[str]:
    """Texts that heedful brings along: what a model is timed by where nothing else is given."""
    return [example.text for example in read_examples(SHIPPED, Columns(), label_kind=LabelKind.NONE)]


def measure_speed(task: Task[Any], texts: Sequence[str], *, seconds: float) -> Speed:
    """Answer texts, all together and one by one, for about so many seconds; three rounds of all of them at least."""
    examples = [Example(text, None, (), number) for number, text in enumerate(texts, 1)]
    tally = Tally()
    _answer(task, examples, tally)
    together = _timed([partial(_answer, task, examples)], seconds / 2)
    alone = _timed([partial(_answer, task, [example]) for example in examples], seconds / 2)
    whole = float(np.median(together))
    middle, most = np.percentile(alone, (50, 95))
    return Speed(
        texts_per_second=len(texts) / whole,
        tokens_per_second=tally.tokens / whole,
        padding_share=tally.padding_share,
        latency=float(middle),
        latency_p95=float(most),
        written_per_second=tally.written / whole,
    )


def _answer(task: Any, examples: Sequence[Example], tally: Tally | None = None) -> None:
    for _ in task.predict_stream(examples, look_ahead=len(examples), tally=tally):
        pass


def _timed(work: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """The time of each call, round and round until ``seconds`` are over."""
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < LEAST_ROUNDS or time.perf_counter() - begun < seconds:
        started = time.perf_counter()
        work[len(times) % len(work)]()
        times.append(time.perf_counter() - started)
    return times


def recall(trial: str) -> str | None:
    """What an earlier trial found."""
    found = _trials().get(trial)
    return found if isinstance(found, str) else None


def remember(trial: str, found: str) -> None:
    """Keep what a trial found; where nothing can be kept, it is tried again the next time."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        write_text(cache_folder() / TRIALS_FILE, json.dumps(_trials() | {trial: found}, indent=1) + "\n")
    except OSError:
        return


def _trials() -> dict[str, object]:
    try:
        found = json.loads((cache_folder() / TRIALS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
