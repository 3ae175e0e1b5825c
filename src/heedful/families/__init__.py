"""Families of foreign checkpoints: what their configs mean, and how their weights become ours."""

from __future__ import annotations

from heedful.families.family import Classifier, Family, LanguageModel
from heedful.families.pretrained import Pretrained, find_family, read_pretrained
from heedful.families.registry import FAMILIES

__all__ = [
    "FAMILIES",
    "Classifier",
    "Family",
    "LanguageModel",
    "Pretrained",
    "find_family",
    "read_pretrained",
]
