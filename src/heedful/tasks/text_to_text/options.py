"""What a user asks of answers, beside what the model's own card says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from heedful.tasks.text_to_text.glossary import Glossary
from heedful.tasks.text_to_text.memory import TranslationMemory


@dataclass(frozen=True)
class AnswerOptions:
    """What holds for all answers of a call; nothing is asked for unless given."""

    generation: Mapping[str, Any] = field(default_factory=dict)
    """Generation settings that are other than those of the model's card."""
    long_input: str | None = None
    """How texts of any length are read, see :class:`LongDocument`; the job's usual way unless given."""
    glossary: Glossary = field(default_factory=Glossary)
    """How terms are to be translated."""
    memory: TranslationMemory = field(default_factory=TranslationMemory)
    """Translations that are known already."""
    phrases: tuple[str, ...] = ()
    """Each must appear in the answer."""
    beginning: str = ""
    """The answer begins with it."""
    keep_markup: bool | None = None
    """Whether tags, placeholders and addresses survive; they do in translations unless this says otherwise."""
    examined: bool = True
    """Whether to find out how far answers can be trusted; without, they come a little sooner."""
