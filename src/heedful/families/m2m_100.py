"""M2M-100 (Fan et al. 2021) and NLLB (Costa-jussà et al. 2022): fairseq's positions, norms before the slots."""

from __future__ import annotations

from heedful.checkpoint.rules import Rule
from heedful.families.bart import (
    COMPUTED_POSITIONS,
    IGNORED,
    OPTIONS_REFUSED,
    WITHOUT_HEAD,
    Form,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Family, LanguageModel, always
from heedful.model import OutputSpec, SinusoidalSpec


def _positions(config: ConfigReader) -> SinusoidalSpec:
    """The first text position follows that of padding, whose number is the id of padding."""
    return SinusoidalSpec(
        halves=True,
        inclusive=True,
        offset=config.integer("pad_token_id", 1, low=0, high=2**16 - 1) + 1,
        max_positions=config.integer("max_position_embeddings", 1024),
    )


_FORM = Form(
    pre_norm=True,
    embedding_norm=False,
    positions=_positions,
    vocabulary_size=128112,
    activation="relu",
    scaled=True,
    attention_dropout=0.1,
)

M2M_100 = Family(
    model_type="m2m_100",
    architecture="M2M100Model",
    spec=_FORM.spec,
    rules=_FORM.rules,
    language_model=LanguageModel(
        "M2M100ForConditionalGeneration",
        lambda _: OutputSpec(),
        always(Rule("lm_head.weight", "output.weight")),
        prefix="model.",
    ),
    ignored=IGNORED | WITHOUT_HEAD | COMPUTED_POSITIONS,
    refused=OPTIONS_REFUSED,
)
