"""The cases of all families: at least two shapes each, every key of the config switched in one of them."""

from __future__ import annotations

from tests.parity.families.cases_albert import CASES as ALBERT
from tests.parity.families.cases_bart import CASES as BART
from tests.parity.families.cases_bert import CASES as BERT
from tests.parity.families.cases_deberta_v2 import CASES as DEBERTA_V2
from tests.parity.families.cases_distilbert import CASES as DISTILBERT
from tests.parity.families.cases_electra import CASES as ELECTRA
from tests.parity.families.cases_gemma import CASES as GEMMA
from tests.parity.families.cases_gpt2 import CASES as GPT2
from tests.parity.families.cases_gpt_neox import CASES as GPT_NEOX
from tests.parity.families.cases_llama import CASES as LLAMA
from tests.parity.families.cases_mistral import CASES as MISTRAL
from tests.parity.families.cases_modernbert import CASES as MODERNBERT
from tests.parity.families.cases_mpnet import CASES as MPNET
from tests.parity.families.cases_phi3 import CASES as PHI3
from tests.parity.families.cases_qwen import CASES as QWEN
from tests.parity.families.cases_roberta import CASES as ROBERTA
from tests.parity.families.cases_t5 import CASES as T5

CASES = (
    *BERT,
    *DISTILBERT,
    *ROBERTA,
    *ELECTRA,
    *ALBERT,
    *MPNET,
    *DEBERTA_V2,
    *MODERNBERT,
    *LLAMA,
    *BART,
    *T5,
    *GPT2,
    *GPT_NEOX,
    *MISTRAL,
    *QWEN,
    *GEMMA,
    *PHI3,
)
