"""What a person sees of work that goes on: lines on standard error, and on a terminal a progress bar below them."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

REFRESHES_PER_SECOND = 5


class _TimeColumn(TimeRemainingColumn):
    """The time that is left, or that has passed where the end is not known."""

    def render(self, task: Task) -> Text:
        return TimeElapsedColumn().render(task) if task.total is None else super().render(task) + " left"


class ProgressBar:
    """One bar, drawn from the first :meth:`update` on; nothing is drawn where standard error is no terminal.

    Args:
        shown: False where the answers themselves scroll over the terminal; lines are said all the same.
    """

    def __init__(self, title: str, *, shown: bool = True) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("[bold]{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            TaskProgressColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[figures]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            _TimeColumn(table_column=Column(no_wrap=True)),
            console=self._console,
            disable=not (shown and self._console.is_terminal),
            expand=True,
            refresh_per_second=REFRESHES_PER_SECOND,
            # What others print stays above the bar, unless it goes elsewhere: then it must arrive there.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )
        self._bar = self._progress.add_task(title, total=None, figures="", start=False)

    def update(self, done: int, total: int | None, figures: str) -> None:
        """Draw ``done`` of ``total`` steps, with ``figures`` beside the bar."""
        if not self._progress.live.is_started:
            self._progress.start()
            self._progress.start_task(self._bar)
        self._progress.update(self._bar, completed=done, total=total, figures=figures)

    def say(self, line: str) -> None:
        """Print a line above the bar, as it is: a terminal folds it, a file keeps it whole."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
