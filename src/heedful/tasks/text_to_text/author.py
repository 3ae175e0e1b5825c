"""Who writes, as the steps of answering see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import nn

from heedful.data import Example
from heedful.generation import CompiledWriter
from heedful.inference import Workers
from heedful.model import Transformer
from heedful.tasks.text_to_text.architectures import Architecture
from heedful.tasks.text_to_text.settings import TextToTextCard
from heedful.text import Encoding, Tokenizer


class Author(Protocol):
    """A model with all that its answers depend on; :class:`TextToText` is one."""

    card: TextToTextCard
    model: Transformer
    network: nn.Module
    target_tokenizer: Tokenizer
    shortlist: frozenset[int] | None
    """The tokens that are written, if not all."""
    engine: CompiledWriter | None
    """What reads in the model's place."""
    workers: Workers
    """How many texts are begun side by side, by slots and threads of their own."""

    @property
    def job(self) -> str:
        """Translation or summarization."""
        ...

    @property
    def keeps_markup(self) -> bool:
        """Whether tags and placeholders of a text belong into its answer."""
        ...

    @property
    def keeps_numbers(self) -> bool:
        """Whether an answer has all numbers of its text."""
        ...

    @property
    def architecture(self) -> Architecture:
        """How texts go through the model."""
        ...

    def encode_sources(self, examples: Sequence[Example]) -> list[tuple[Encoding, int]]:
        """Texts as the network sees them, and how many tokens were cut from each."""
        ...
