"""Marian (Junczys-Dowmunt et al. 2018), as OPUS-MT has it: BART with computed positions."""

from __future__ import annotations

from heedful.families.bart import (
    COMPUTED_POSITIONS,
    IGNORED,
    OPTIONS_REFUSED,
    TABLES_APART,
    WITHOUT_HEAD,
    Form,
    computed_positions,
    language_model,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Family
from heedful.model import TransformerSpec

_FORM = Form(pre_norm=False, embedding_norm=False, positions=computed_positions, vocabulary_size=58101)


def _spec(config: ConfigReader) -> TransformerSpec:
    config.require("share_encoder_decoder_embeddings", True, reason=TABLES_APART)
    return _FORM.spec(config)


MARIAN = Family(
    model_type="marian",
    architecture="MarianModel",
    spec=_spec,
    rules=_FORM.rules,
    language_model=language_model("MarianMTModel"),
    ignored=IGNORED
    | WITHOUT_HEAD
    | COMPUTED_POSITIONS
    | {"decoder_vocab_size": "of the target's own table, where there is one"},
    refused=("share_encoder_decoder_embeddings: false", *OPTIONS_REFUSED),
)
