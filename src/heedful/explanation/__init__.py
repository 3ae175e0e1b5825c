"""Why a model answers what it answers."""

from __future__ import annotations

from heedful.explanation.explaining import explain
from heedful.explanation.faithfulness import Faithfulness, measure_faithfulness
from heedful.explanation.heads import Heads, weigh_heads
from heedful.explanation.labels import METHODS
from heedful.explanation.lens import logit_lens
from heedful.explanation.report import html_report
from heedful.explanation.result import Explanation, WrittenExplanation

__all__ = [
    "METHODS",
    "Explanation",
    "Faithfulness",
    "Heads",
    "WrittenExplanation",
    "explain",
    "html_report",
    "logit_lens",
    "measure_faithfulness",
    "weigh_heads",
]
