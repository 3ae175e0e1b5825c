"""PEGASUS (Zhang et al. 2020): BART with norms before the slots and computed positions."""

from __future__ import annotations

from heedful.families.bart import (
    COMPUTED_POSITIONS,
    IGNORED,
    OPTIONS_REFUSED,
    WITHOUT_HEAD,
    Form,
    computed_positions,
    language_model,
)
from heedful.families.family import Family

_FORM = Form(pre_norm=True, embedding_norm=False, positions=computed_positions)

PEGASUS = Family(
    model_type="pegasus",
    architecture="PegasusModel",
    spec=_FORM.spec,
    rules=_FORM.rules,
    language_model=language_model("PegasusForConditionalGeneration"),
    ignored=IGNORED | WITHOUT_HEAD | COMPUTED_POSITIONS,
    refused=OPTIONS_REFUSED,
)
