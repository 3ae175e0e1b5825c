"""Why a model answers what it answers."""

from __future__ import annotations

from heedful.explanation.explain import METHODS, explain
from heedful.explanation.result import Explanation

__all__ = ["METHODS", "Explanation", "explain"]
