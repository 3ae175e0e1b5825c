"""What a person sees of a run: a progress bar on a terminal, and a line for each evaluation anywhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from heedful.evaluation import Evaluation
from heedful.training.trainer import TrainingState


class ProgressDisplay:
    """An observer that draws on standard error; the bar appears on terminals only."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("[bold]training"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task("training", total=None, figures="", start=False)

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, highlight=False, markup=False)

    def on_step(self, state: TrainingState) -> None:
        if state.step == 1:
            self._progress.start()
            self._progress.start_task(self._bar)
        figures = f"loss {state.loss:.3f} · {state.tokens_per_second:,.0f} tokens/s · padding {state.padding_share:.1%}"
        self._progress.update(self._bar, completed=state.step, total=state.total_steps, figures=figures)

    def on_evaluation(self, state: TrainingState, evaluation: Evaluation, *, best: bool) -> None:
        shown = ", ".join(f"{name.replace('_', ' ')} {metric}" for name, metric in list(evaluation.metrics.items())[:2])
        self.say(
            f"epoch {state.epoch:6.2f}  step {state.step:>6,}  training loss {state.loss:.3f}  "
            f"validation {shown}{'  (best so far)' if best else ''}"
        )
