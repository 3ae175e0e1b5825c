"""Running a task over a data set, and reporting how well it did."""

from __future__ import annotations

from heedful.evaluation.comparison import Rival
from heedful.evaluation.evaluate import evaluate, measure
from heedful.evaluation.report import Evaluation

__all__ = ["Evaluation", "Rival", "evaluate", "measure"]
