"""mBART (Liu et al. 2020) and mBART-50 (Tang et al. 2020): BART with norms before the slots."""

from __future__ import annotations

from heedful.families.bart import IGNORED, OPTIONS_REFUSED, Form, classifier, language_model, learned_positions
from heedful.families.family import Family

_FORM = Form(pre_norm=True, embedding_norm=True, positions=learned_positions)

MBART = Family(
    model_type="mbart",
    architecture="MBartModel",
    spec=_FORM.spec,
    rules=_FORM.rules,
    language_model=language_model("MBartForConditionalGeneration"),
    classifier=classifier("MBartForSequenceClassification"),
    ignored=IGNORED,
    refused=OPTIONS_REFUSED,
)
