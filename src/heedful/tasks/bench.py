"""Which way of answering is the fastest on this machine: engines, precisions and numbers of workers, each measured."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from heedful.errors import HeedfulError, JobError
from heedful.inference import INT8_FILE, OpenVino, Workers, is_installed, linear_maps
from heedful.model import Transformer
from heedful.nn import CrossAttention, Stack
from heedful.nn.int8 import Int8Linear, Int8Weights, has_kernel, multiplies_bfloat16
from heedful.tasks.classification import TextClassifier
from heedful.tasks.engines import EAGER
from heedful.tasks.registry import load
from heedful.tasks.speed import Speed, measure_speed

LIMIT_SIZE = 2048
"""Rows and columns of the matrices whose product is the machine's limit."""


@dataclass(frozen=True)
class Way:
    """A way of answering."""

    engine: str
    precision: str | None
    """None: as the model is stored."""
    workers: int | None
    """How many compute or write at a time, by threads that they share; None where a task has no choice."""


@dataclass(frozen=True)
class Measured:
    """A way of answering, and what it costs."""

    way: Way
    speed: Speed
    of_limit: float | None
    """Share of what the machine's products of matrices reach; None where either is not known."""
    peak_memory: int | None
    """Bytes, of a process that does nothing else; None where the system does not tell."""
    start_seconds: float
    """From nothing to a task that can answer."""


@dataclass(frozen=True)
class Left:
    """A way that cannot be gone."""

    way: Way
    why: str


def ways_of(task: Any, folder: Path, threads: int) -> Iterator[Way]:
    """What may be chosen for a task that was loaded from a folder."""
    precisions: list[str | None] = [None]
    precisions += ["int8"] if (folder / INT8_FILE).is_file() else []
    precisions += ["int8-weights"] if linear_maps(task.network) else []
    precisions += ["bfloat16"] if multiplies_bfloat16() else []
    for precision in precisions:
        engines = (EAGER, OpenVino.name) if is_installed() and precision != "bfloat16" else (EAGER,)
        for engine in engines:
            # Texts that PyTorch writes are written by one worker: calling its operations is most of the time.
            has_choice = isinstance(task, TextClassifier) or engine != EAGER
            workers = sorted({1, threads}, reverse=True) if has_choice else [None]
            yield from (Way(engine, precision, count) for count in workers)


def bench(
    source: str, ways: Iterable[Way], texts: Sequence[str], *, threads: int, seconds: float, **options: Any
) -> Iterator[Measured | Left]:
    """Measure each way in a process of its own, one after the other.

    Args:
        seconds: for which each answers, about.
        options: of :func:`heedful.load`.
    """
    for way in ways:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            try:
                yield process.submit(_measured, source, way, list(texts), threads, seconds, options).result()
            except HeedfulError as error:
                yield Left(way, str(error))
            except BrokenProcessPool as error:
                raise JobError("the process that was measured is gone; memory may have run out") from error


def _measured(
    source: str, way: Way, texts: list[str], threads: int, seconds: float, options: dict[str, Any]
) -> Measured | Left:
    started = time.perf_counter()
    torch.set_num_threads(threads)
    task = load(source, precision=way.precision, engine=way.engine, **options)
    if way.engine != EAGER and task.engine is None:
        return Left(way, task.notes[-1])
    task.workers = Workers(count=way.workers)
    start_seconds = time.perf_counter() - started
    speed, peak_memory = measure_speed(task, texts, seconds=seconds), _peak_memory()
    integers = way.precision == "int8"
    of_limit, has_limit = None, has_kernel() if integers else way.precision != "bfloat16"
    if isinstance(task.model, Transformer) and has_limit:
        reading, writing = products_a_token(task)
        work = 2 * (reading * speed.tokens_per_second + writing * speed.written_per_second)
        of_limit = work / _limit(integers=integers, seconds=min(seconds / 4, 1.0))
    return Measured(way, speed, of_limit, peak_memory, start_seconds)


def products_a_token(task: Any) -> tuple[int, int]:
    """Multiplications of linear maps for each token that is read, and for each that a beam writes."""
    model: Transformer = task.model
    if model.decoder is None or isinstance(task, TextClassifier):
        return sum(_products_of(each) for each in (model.encoder, model.decoder) if each is not None), 0
    # The encoder's output is projected once for all tokens that are written.
    across = sum(
        each.key.weight.numel() + each.value.weight.numel()
        for each in model.decoder.modules()
        if isinstance(each, CrossAttention)
    )
    layers, table = _products_of(model.decoder) - across, model.written_embedding.weight.numel()
    return layers if model.encoder is None else _products_of(model.encoder) + across, layers + table


def _products_of(stack: Stack) -> int:
    """Of all layers that are run, for a token."""
    parts = (part for number in stack.order for part in stack.layers[number].modules())
    return sum(each.in_features * each.out_features for each in parts if isinstance(each, nn.Linear | Int8Weights))


def _limit(*, integers: bool, seconds: float) -> float:
    """Multiplications and additions a second of the largest products that the machine's threads make."""
    linear: nn.Module = nn.Linear(LIMIT_SIZE, LIMIT_SIZE, bias=False)
    work: Callable[[], object]
    x = torch.rand(LIMIT_SIZE, LIMIT_SIZE)
    if integers:
        rounded = Int8Linear.of(linear, (0.0, 1.0))  # type: ignore[arg-type]
        whole = rounded.rounded(x)
        work = lambda: rounded.product(whole)  # noqa: E731
    else:
        work = lambda: linear(x)  # noqa: E731
    best, begun = float("inf"), time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - begun < seconds:
            started = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - started)
    return 2 * LIMIT_SIZE**3 / best


def _peak_memory() -> int | None:
    # Not resource.getrusage: on Linux its figure is never below what the parent process held.
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
