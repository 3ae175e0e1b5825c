"""Contestants in processes of their own, one of which works at a time: what benchmarks of answering share.

Each contestant is made in a fresh process, so that its start and its peak memory are its own. They are then given the
same work in turn, round by round, in an order that changes; a round in which the machine was taken away for more than
5 % of the time is left out.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

MOST_STEAL = 0.05
Answer = Callable[[Sequence[Any]], Any]
"""Of texts, or of whatever they have been made into."""
Maker = tuple[Callable[..., Answer], tuple[Any, ...]]
"""A function of a module that makes a contestant, and its arguments."""


class Turn(NamedTuple):
    """What a contestant did."""

    seconds: float
    answers: Any
    peak: int
    """Bytes, of its process so far."""


@dataclass
class Contestant:
    """A process that answers."""

    name: str
    start_seconds: float
    connection: Connection
    seconds: list[float] = field(default_factory=list)
    peak: int = 0

    def turn(self, texts: Sequence[Any]) -> Turn:
        """Have it answer."""
        self.connection.send(list(texts))
        try:
            turn: Turn = _received(self.connection)
        except RuntimeError as error:
            raise RuntimeError(f"{self.name}: {error}") from error
        self.peak = max(self.peak, turn.peak)
        return turn

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@contextmanager
def arena(makers: Mapping[str, Maker], threads: int) -> Iterator[list[Contestant]]:
    """Start contestants; those that cannot start are told and left out."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    context = multiprocessing.get_context("spawn")
    found: list[Contestant] = []
    processes = []
    for name, (make, arguments) in makers.items():
        ours, theirs = context.Pipe()
        process = context.Process(target=_contend, args=(theirs, make, arguments), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        try:
            found.append(Contestant(name, _received(ours), ours))
        except (RuntimeError, EOFError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    try:
        yield found
    finally:
        for one in found:
            one.connection.send(None)
        for process in processes:
            process.join(timeout=10)


def compete(contestants: Sequence[Contestant], texts: Sequence[Any], rounds: int) -> dict[str, Any]:
    """Let all answer in turn, after a warm-up of each; returns the answers of each."""
    answers = {one.name: one.turn(texts).answers for one in contestants}
    left_out = 0
    number = 0
    while number < rounds and left_out < 3 * rounds:
        place = number % len(contestants)
        turns, before = {}, _stolen()
        for one in [*contestants[place:], *contestants[:place]]:
            turns[one.name] = one.turn(texts).seconds
        after = _stolen()
        if (after[0] - before[0]) > MOST_STEAL * (after[1] - before[1]):
            left_out += 1
            continue
        for one in contestants:
            one.seconds.append(turns[one.name])
        number += 1
    if left_out:
        print(f"{left_out} rounds were left out: the machine was taken away", file=sys.stderr)
    return answers


def alone(contestant: Contestant, texts: Sequence[Any]) -> list[float]:
    """Seconds for each of texts that come one by one, when each has been there before: lengths are known then."""
    for text in texts:
        contestant.turn([text])
    return [contestant.turn([text]).seconds for text in texts]


def _contend(connection: Connection, make: Callable[..., Answer], arguments: tuple[Any, ...]) -> None:
    try:
        begun = time.perf_counter()
        answer = make(*arguments)
        connection.send(time.perf_counter() - begun)
        while (texts := connection.recv()) is not None:
            started = time.perf_counter()
            answers = answer(texts)
            connection.send(Turn(time.perf_counter() - started, answers, _peak()))
    except Exception as error:
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _peak() -> int:
    """Bytes that this process held at most; what its parent held is not counted, as getrusage would."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _received(connection: Connection) -> Any:
    message = connection.recv()
    if isinstance(message, Exception):
        raise message
    return message


def _stolen() -> tuple[int, int]:
    """Ticks that were taken from this machine, and all of them."""
    ticks = [int(value) for value in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]]
    return ticks[7], sum(ticks[:8])
