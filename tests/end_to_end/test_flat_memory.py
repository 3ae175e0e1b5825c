"""A stream of any length is answered in memory that does not grow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import heedful
from heedful.data import Example
from heedful.training import Run

TEXTS = 100_000
BEGUN = 20_000
"""Answers after which all that is ever needed has been allocated."""
GROWTH = 50e6
STATM = Path("/proc/self/statm")


def resident() -> int:
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stream() -> Iterator[Example]:
    words = ("card", "swallowed", "rain", "天气", "transfer", "my", "the", "please", "invoice")
    for number in range(1, TEXTS + 1):
        text = " ".join(words[(number + place) % 9] for place in range(1 + number % 7))
        yield Example(f"{text} {number}", None, (), number)


@pytest.mark.skipif(not STATM.exists(), reason="no /proc: the system does not tell a process its memory")
def test_a_hundred_thousand_texts_are_answered_in_flat_memory(run: Run) -> None:
    classifier = heedful.load(run.folder)
    held = []
    for number, (example, answer) in enumerate(classifier.predict_stream(stream()), 1):
        assert example.row == number
        assert answer.label in classifier.labels
        if number >= BEGUN and number % 5000 == 0:
            held.append(resident())
    assert number == TEXTS
    assert max(held) - held[0] < GROWTH
