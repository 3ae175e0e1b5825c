"""The cases of all families: at least two shapes each, every key of the config switched in one of them."""

from __future__ import annotations

from tests.parity.families.cases_bert import CASES as BERT
from tests.parity.families.cases_llama import CASES as LLAMA

CASES = (*BERT, *LLAMA)
