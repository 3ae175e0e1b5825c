"""Batches side by side: threads that share one copy of the weights, each with processor threads of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event
from typing import NamedTuple, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Batches that wait for each worker, so that none waits for the next."""


class Plan(NamedTuple):
    """How some batches are computed."""

    workers: int
    """So many batches at a time."""
    threads: int
    """Processor threads of each."""


@dataclass(frozen=True)
class Workers:
    """How many batches are computed at a time, and by how many processor threads each.

    What is not given is chosen: many batches side by side by one thread each, which is the most work in a given time;
    a few one after the other by all threads, which is the shortest time for each.
    """

    count: int | None = None
    threads: int | None = None

    def plan(self, num_batches: int) -> Plan:
        """For so many batches, no more threads than PyTorch may use, unless they are given."""
        available = torch.get_num_threads()
        if self.count is None:
            count = max(1, available // (self.threads or 1)) if num_batches >= AHEAD * available else 1
        else:
            count = min(self.count, max(1, num_batches))  # whoever has nothing to do leaves its threads to the others
        return Plan(count, self.threads or max(1, available // count))

    def map(self, compute: Callable[[Item], Result], batches: Sequence[Item]) -> Iterator[Result]:
        """What ``compute`` makes of each batch, in order.

        Results are held only for the few batches that are ahead of the one that is asked for. A failure in one
        batch is raised in its turn, and no later one is begun.
        """
        count, threads = self.plan(len(batches))
        with _threads_as_before():
            if count == 1:
                torch.set_num_threads(threads)
                yield from map(compute, batches)
            else:
                with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
                    yield from _in_order(pool, compute, batches, ahead=AHEAD * count)


def merge(plan: Plan, work: Callable[[], Iterator[Result]]) -> Iterator[Result]:
    """Whatever a plan's workers give, each result as soon as it is there.

    Args:
        work: what each worker does; they share what there is to be done, so that none waits for another.

    A failure is raised, and the others stop after what they are about to give; so they do where no more is asked.
    """
    with _threads_as_before():
        if plan.workers == 1:
            torch.set_num_threads(plan.threads)
            yield from work()
        else:
            yield from _as_they_come(plan, work)


@contextmanager
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _as_they_come(plan: Plan, work: Callable[[], Iterator[Result]]) -> Iterator[Result]:
    given: SimpleQueue[tuple[Result, ...]] = SimpleQueue()  # an empty one where a worker has ended
    stopped = Event()

    def run() -> None:
        try:
            for result in work():
                given.put((result,))
                if stopped.is_set():
                    return
        except BaseException:
            stopped.set()
            raise
        finally:
            given.put(())

    with ThreadPoolExecutor(plan.workers, initializer=torch.set_num_threads, initargs=(plan.threads,)) as pool:
        running = [pool.submit(run) for _ in range(plan.workers)]
        try:
            ended = 0
            while ended < len(running):
                result = given.get()
                yield from result
                ended += not result
        finally:
            stopped.set()
        for one in running:
            one.result()


def _in_order(
    pool: ThreadPoolExecutor, compute: Callable[[Item], Result], batches: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(compute, batch))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
