"""Families of foreign checkpoints: what their configs mean, and how their weights become ours."""

from __future__ import annotations

from heedful.checkpoint.doctor import Diagnosis
from heedful.families.config import ConfigReader
from heedful.families.diagnosis import diagnose
from heedful.families.export import to_upstream
from heedful.families.family import Classifier, Family, LanguageModel
from heedful.families.pretrained import Pretrained, find_family, load_model, read_pretrained
from heedful.families.registry import FAMILIES
from heedful.families.table import FamilyRow, family_rows

__all__ = [
    "FAMILIES",
    "Classifier",
    "ConfigReader",
    "Diagnosis",
    "Family",
    "FamilyRow",
    "LanguageModel",
    "Pretrained",
    "diagnose",
    "family_rows",
    "find_family",
    "load_model",
    "read_pretrained",
    "to_upstream",
]
