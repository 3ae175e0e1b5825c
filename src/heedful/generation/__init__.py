"""Writing text: settings, rules over scores, search, and the engine that runs many texts side by side."""

from __future__ import annotations

from heedful.generation.compiled import CompiledWriter
from heedful.generation.constrained import widened
from heedful.generation.constraints import Phrases
from heedful.generation.engine import Request, SlotEngine
from heedful.generation.generate import generate, write_all
from heedful.generation.memory import fitting_slots
from heedful.generation.rules import Rule, Written
from heedful.generation.search import Hypothesis
from heedful.generation.settings import GenerationSettings, changed, parse_settings, read_generation_config

__all__ = [
    "CompiledWriter",
    "GenerationSettings",
    "Hypothesis",
    "Phrases",
    "Request",
    "Rule",
    "SlotEngine",
    "Written",
    "changed",
    "fitting_slots",
    "generate",
    "parse_settings",
    "read_generation_config",
    "widened",
    "write_all",
]
