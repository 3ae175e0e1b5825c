"""The families that heedful knows: one line each."""

from __future__ import annotations

from heedful.families.albert import ALBERT
from heedful.families.bert import BERT
from heedful.families.distilbert import DISTILBERT
from heedful.families.electra import ELECTRA
from heedful.families.family import Family
from heedful.families.llama import LLAMA
from heedful.families.mpnet import MPNET
from heedful.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        BERT,
        DISTILBERT,
        ROBERTA,
        XLM_ROBERTA,
        CAMEMBERT,
        ELECTRA,
        ALBERT,
        MPNET,
        LLAMA,
    )
}
