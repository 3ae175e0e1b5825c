"""What another engine makes of a network: how far its numbers are from the network's own, or why there are none."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from torch import Tensor


def apart(found: Tensor, expected: Tensor) -> float:
    """The size of the difference relative to that of what is expected, by the norm; no number where one is none."""
    return float((found - expected).norm() / expected.norm().clamp(min=1e-6))


def first_line(error: BaseException) -> str:
    """What went wrong in the end, in a line: exporters wrap it in advice to those who write networks."""
    error = error.__cause__ or error
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Without what the part of PyTorch of this name tells its makers."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # where they print what they cannot follow
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
