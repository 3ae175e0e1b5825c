"""The families in a table, as the command line and the documentation show them."""

from __future__ import annotations

from dataclasses import dataclass

from heedful.families.config import ConfigReader
from heedful.families.family import Family
from heedful.families.registry import FAMILIES


@dataclass(frozen=True)
class FamilyRow:
    """What is told of one family."""

    family: str
    """Its ``model_type``."""
    kind: str
    """Encoder, decoder or both."""
    jobs: tuple[str, ...]
    """What its checkpoints are made for."""
    architectures: tuple[str, ...]
    """Upstream's classes whose checkpoints are read and written."""
    refused: tuple[str, ...]
    """Options that are refused by name."""


def family_rows() -> list[FamilyRow]:
    """All families that heedful knows, encoders first."""
    rows = [_row(family) for family in FAMILIES.values()]
    return sorted(rows, key=lambda row: ("encoder", "encoder–decoder", "decoder").index(row.kind))


def _row(family: Family) -> FamilyRow:
    spec = family.spec(ConfigReader({}))
    kind = "–".join(name for name in ("encoder", "decoder") if getattr(spec, name) is not None)
    heads = [head.architecture for head in (family.classifier, family.language_model) if head is not None]
    return FamilyRow(family.model_type, kind, family.jobs, (family.architecture, *heads), family.refused)
