"""The families that heedful knows: one line each."""

from __future__ import annotations

from heedful.families.bert import BERT
from heedful.families.family import Family
from heedful.families.llama import LLAMA

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        BERT,
        LLAMA,
    )
}
