"""Why a model answers what it answers."""

from __future__ import annotations

from heedful.explanation.explaining import explain
from heedful.explanation.labels import METHODS
from heedful.explanation.result import Explanation, WrittenExplanation

__all__ = ["METHODS", "Explanation", "WrittenExplanation", "explain"]
