"""What a family of checkpoints is: data, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from heedful.checkpoint.rules import Drop, Rule, Rules
from heedful.families.config import ConfigReader
from heedful.model import ClassificationHeadSpec, OutputSpec, TransformerSpec

RulesOf = Callable[[TransformerSpec], Rules]
"""The rules for the weights of a model."""


def always(*rules: Rule | Drop) -> RulesOf:
    """The same rules for every model."""
    return lambda _: rules


@dataclass(frozen=True)
class LanguageModel:
    """The language-model head of a family."""

    architecture: str
    """Upstream's class, which ``architectures`` names."""
    spec: Callable[[ConfigReader], OutputSpec]
    rules: RulesOf
    prefix: str = ""
    """What upstream puts before the names of the base model's weights in this architecture."""
    optional: frozenset[str] = frozenset()
    """Our names of weights that need not be stored: the token table takes the place of ``output.weight``, zeros that
    of ``output.bias``."""


@dataclass(frozen=True)
class Classifier:
    """The sequence-classification head of a family."""

    architecture: str
    spec: Callable[[ConfigReader, int], ClassificationHeadSpec]
    """From the config and the number of labels."""
    rules: RulesOf
    """Our names in them begin with ``head.``."""
    prefix: str = ""


@dataclass(frozen=True)
class Family:
    """One kind of checkpoint: how its config becomes a spec, and its weights ours.

    Rules are written with upstream's names in the bare architecture; the prefixes that other architectures put before
    them are known to the heads.
    """

    model_type: str
    """What ``config.json`` calls it."""
    architecture: str
    """Upstream's class of the bare model."""
    spec: Callable[[ConfigReader], TransformerSpec]
    """The model without its output."""
    rules: RulesOf
    language_model: LanguageModel | None = None
    classifier: Classifier | None = None
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Keys of the config that change no number, and why."""
    refused: tuple[str, ...] = ()
    """Options that this implementation does not have, for the table of families."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """All prefixes that names of the base model's weights may have."""
        heads = (self.language_model, self.classifier)
        return tuple(sorted({head.prefix for head in heads if head is not None and head.prefix}))

    @property
    def jobs(self) -> tuple[str, ...]:
        """What its checkpoints are made for."""
        return (
            *(["classification"] if self.classifier else []),
            *(["language model"] if self.language_model else []),
        )
