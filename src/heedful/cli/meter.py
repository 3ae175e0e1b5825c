"""How far answering has come, for whoever waits for it."""

from __future__ import annotations

import time

from heedful.progress import ProgressBar
from heedful.tasks import Tally


class Meter(Tally):
    """A tally that moves a progress bar, and sums up at the end."""

    def __init__(self, bar: ProgressBar) -> None:
        super().__init__()
        self._bar = bar
        self._started = time.perf_counter()

    def add(self, **counts: int) -> None:
        """Count one batch and show it."""
        super().add(**counts)
        self._bar.update(
            self.texts,
            self.total,
            f"{self.texts:,} texts · {self._rate:,.0f} texts/s · padding {self.padding_share:.1%}",
        )

    @property
    def summary(self) -> str:
        """What was done, in how long, and what share of it was padding."""
        texts = "1 text" if self.texts == 1 else f"{self.texts:,} texts"
        return f"{texts} in {self._seconds:.1f} s, {self._rate:,.0f} a second, padding {self.padding_share:.1%}"

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def _rate(self) -> float:
        return self.texts / self._seconds
