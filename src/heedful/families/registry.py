"""The families that heedful knows: one line each."""

from __future__ import annotations

from heedful.families.albert import ALBERT
from heedful.families.bart import BART
from heedful.families.bert import BERT
from heedful.families.deberta_v2 import DEBERTA_V2
from heedful.families.distilbert import DISTILBERT
from heedful.families.electra import ELECTRA
from heedful.families.family import Family
from heedful.families.gemma import GEMMA, GEMMA2, GEMMA3
from heedful.families.gpt2 import GPT2
from heedful.families.gpt_neox import GPT_NEOX
from heedful.families.llama import LLAMA
from heedful.families.m2m_100 import M2M_100
from heedful.families.marian import MARIAN
from heedful.families.mbart import MBART
from heedful.families.mistral import MISTRAL
from heedful.families.modernbert import MODERNBERT
from heedful.families.mpnet import MPNET
from heedful.families.pegasus import PEGASUS
from heedful.families.phi3 import PHI3
from heedful.families.qwen import QWEN2, QWEN3
from heedful.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA
from heedful.families.t5 import MT5, T5

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
        DEBERTA_V2,
        MODERNBERT,
        LLAMA,
        MARIAN,
        BART,
        MBART,
        PEGASUS,
        M2M_100,
        T5,
        MT5,
        GPT2,
        GPT_NEOX,
        MISTRAL,
        QWEN2,
        QWEN3,
        GEMMA,
        GEMMA2,
        GEMMA3,
        PHI3,
    )
}
