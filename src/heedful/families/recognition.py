"""Which family's names a checkpoint's tensors bear."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from heedful.checkpoint.rules import Rules, plan
from heedful.families.config import ConfigReader
from heedful.families.family import Family
from heedful.families.registry import FAMILIES
from heedful.model import TransformerSpec

LIKELY = 0.8
"""Share of the names that a family must know to be named."""


def count_known(family: Family, config: Mapping[str, Any], names: Collection[str]) -> int:
    """How many of the names the family knows, heads included."""
    return len(names) - len(plan(_all_rules(family, config), names, prefixes=family.prefixes).unexpected)


def likely_families(names: Collection[str]) -> list[str]:
    """Model types of the families that know the most of the names, if that is most of them."""
    counts = {model_type: count_known(family, {}, names) for model_type, family in FAMILIES.items()}
    best = max(counts.values(), default=0)
    return (
        [model_type for model_type, count in counts.items() if count == best]
        if best >= max(LIKELY * len(names), 1)
        else []
    )


def _all_rules(family: Family, config: Mapping[str, Any]) -> Rules:
    spec = _spec_of(family, config) or _spec_of(family, {})
    if spec is None:
        return ()
    heads = [head.rules(spec) for head in (family.language_model, family.classifier) if head is not None]
    return (*family.rules(spec), *(rule for rules in heads for rule in rules))


def _spec_of(family: Family, config: Mapping[str, Any]) -> TransformerSpec | None:
    """The spec as far as it can be read: rules ask for little of it."""
    reader = ConfigReader(config)
    try:
        spec = family.spec(reader)
        output = None if family.language_model is None else family.language_model.spec(reader)
    except ValidationError:
        return None
    return spec.model_copy(update={"output": output})
