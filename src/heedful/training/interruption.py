"""Ctrl-C and SIGTERM during training: the step is finished and the state saved, then the run stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from heedful.errors import StoppedError


class StopRequest:
    """Whether somebody asked the run to stop, and how."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    @property
    def requested(self) -> bool:
        return self.signal is not None

    def raise_if_requested(self) -> None:
        """Raise :class:`StoppedError` with the exit code that belongs to the signal (128 + its number)."""
        if self.signal is not None:
            raise StoppedError(
                f"stopped by {self.signal.name}; the last state is saved", exit_code=128 + self.signal.value
            )


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Collect SIGINT and SIGTERM inside the block; a second signal acts at once, as without us."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        restore()

    for number in previous:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()
