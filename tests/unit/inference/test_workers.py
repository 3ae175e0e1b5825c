"""Work side by side gives what work one after the other gives, in the same order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from heedful.inference import Plan, Workers, merge


@pytest.fixture
def four_threads() -> Iterator[None]:
    """As on a machine with four cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4
    torch.set_num_threads(before)


def slow_first(item: int) -> tuple[int, int, int]:
    time.sleep(0.02 if item % 3 == 0 else 0)
    return item, threading.get_ident(), torch.get_num_threads()


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize(
    ("workers", "num_batches", "expected"),
    [
        (Workers(), 8, (4, 1)),
        (Workers(), 7, (1, 4)),
        (Workers(), 0, (1, 4)),
        (Workers(count=2), 1, (1, 4)),
        (Workers(count=2), 2, (2, 2)),
        (Workers(count=8), 100, (8, 1)),
        (Workers(threads=2), 100, (2, 2)),
        (Workers(threads=2), 1, (1, 2)),
        (Workers(count=3, threads=2), 100, (3, 2)),
    ],
)
def test_many_batches_go_side_by_side_and_few_by_all_threads(
    workers: Workers, num_batches: int, expected: tuple[int, int]
) -> None:
    assert workers.plan(num_batches) == expected


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize("workers", [Workers(1, 3), Workers(2, 1), Workers(3, 2), Workers()])
def test_results_come_in_order_from_as_many_threads(workers: Workers) -> None:
    count, threads = workers.plan(30)
    items, identities, used = zip(*workers.map(slow_first, range(30)), strict=True)
    assert items == tuple(range(30))
    assert len(set(identities)) == count
    assert set(used) == {threads}


@pytest.mark.parametrize("workers", [Workers(1, 1), Workers(2, 1)])
def test_a_failure_is_raised_in_its_turn_and_ends_the_work(workers: Workers) -> None:
    begun = []

    def compute(item: int) -> int:
        begun.append(item)
        if item == 5:
            raise ZeroDivisionError("the fifth")
        return item

    results = workers.map(compute, range(1000))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError, match="the fifth"):
        next(results)
    assert len(begun) < 50


def test_no_more_than_a_few_are_ahead_of_what_is_asked_for() -> None:
    begun: list[int] = []
    remember: Callable[[int], None] = begun.append
    results = Workers(2, 1).map(remember, range(1000))
    next(results)
    time.sleep(0.1)
    assert len(begun) <= 6
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 6


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize("plan", [Plan(1, 3), Plan(2, 1), Plan(3, 2)])
def test_workers_share_what_there_is_to_do_and_give_it_as_it_comes(plan: Plan) -> None:
    waiting = iter(range(30))
    items, identities, used = zip(*merge(plan, lambda: map(slow_first, waiting)), strict=True)
    assert sorted(items) == list(range(30))
    assert len(set(identities)) == plan.workers
    assert set(used) == {plan.threads}


@pytest.mark.parametrize("count", [1, 3])
def test_a_failure_of_one_worker_is_raised_and_stops_the_others(count: int) -> None:
    waiting, done = iter(range(1000)), []

    def work() -> Iterator[int]:
        for item in waiting:
            if item == 5:
                raise ValueError("item 5")
            time.sleep(0.002)
            done.append(item)
            yield item

    with pytest.raises(ValueError, match="item 5"):
        list(merge(Plan(count, 1), work))
    assert len(done) < 100


@pytest.mark.parametrize("count", [1, 3])
def test_workers_stop_where_no_more_is_asked(count: int) -> None:
    waiting, done = iter(range(1000)), []

    def work() -> Iterator[int]:
        for item in waiting:
            time.sleep(0.002)
            done.append(item)
            yield item

    results = merge(Plan(count, 1), work)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(done) < 100
