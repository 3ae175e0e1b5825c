"""What a person sees of a run: a progress bar on a terminal, and a line for each evaluation anywhere."""

from __future__ import annotations

from heedful.evaluation import Evaluation
from heedful.metrics import readable
from heedful.progress import ProgressBar
from heedful.training.trainer import TrainingState


class ProgressDisplay(ProgressBar):
    """An observer that draws on standard error."""

    def __init__(self) -> None:
        super().__init__("training")

    def on_step(self, state: TrainingState) -> None:
        self.update(
            state.step,
            state.total_steps,
            f"loss {state.loss:.3f} · {state.tokens_per_second:,.0f} tokens/s · padding {state.padding_share:.1%}",
        )

    def on_evaluation(self, state: TrainingState, evaluation: Evaluation, *, best: bool) -> None:
        first_two = list(evaluation.metrics.items())[:2]
        shown = ", ".join(f"{readable(name)} {metric}" for name, metric in first_two)
        self.say(f"epoch {state.epoch:5.2f}  loss {state.loss:.3f}  validation: {shown}{'  best' if best else ''}")
