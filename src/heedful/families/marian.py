"""Marian (Junczys-Dowmunt et al. 2018), as OPUS-MT has it: BART with computed positions."""

from __future__ import annotations

from heedful.checkpoint.rules import Rule, Rules
from heedful.families.bart import (
    COMPUTED_POSITIONS,
    IGNORED,
    OPTIONS_REFUSED,
    WITHOUT_HEAD,
    Form,
    computed_positions,
    language_model,
)
from heedful.families.config import ConfigReader
from heedful.families.family import Family
from heedful.model import TransformerSpec

OWN_TABLES: Rules = (
    Rule("encoder.embed_tokens.weight", "token_embedding.weight"),
    Rule("decoder.embed_tokens.weight", "target_embedding.weight"),
)
"""Where ``share_encoder_decoder_embeddings`` is false."""
_FORM = Form(pre_norm=False, embedding_norm=False, positions=computed_positions, vocabulary_size=58101)


def _spec(config: ConfigReader) -> TransformerSpec:
    spec, of_target = _FORM.spec(config), config.optional_integer("decoder_vocab_size")
    if config.flag("share_encoder_decoder_embeddings", True):
        return spec
    return spec.model_copy(update={"target_vocabulary_size": of_target or spec.vocabulary_size})


def _rules(spec: TransformerSpec) -> Rules:
    rules = _FORM.rules(spec)
    return rules if spec.target_vocabulary_size is None else (*OWN_TABLES, *rules)


MARIAN = Family(
    model_type="marian",
    architecture="MarianModel",
    spec=_spec,
    rules=_rules,
    language_model=language_model("MarianMTModel"),
    ignored=IGNORED | WITHOUT_HEAD | COMPUTED_POSITIONS,
    refused=OPTIONS_REFUSED,
)
