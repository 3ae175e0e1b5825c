"""Text to token ids: tokenizers, training them, and fitting long texts into a model."""

from __future__ import annotations

from heedful.text.encoding import Encoding, is_unicode
from heedful.text.hints import TargetMark
from heedful.text.settings import TokenizerKind, TokenizerSettings
from heedful.text.tokenizer import SpecialTokens, Tokenizer
from heedful.text.vocabularies import Side
from heedful.text.windows import FittedText, LongInput, fit

__all__ = [
    "Encoding",
    "FittedText",
    "LongInput",
    "Side",
    "SpecialTokens",
    "TargetMark",
    "Tokenizer",
    "TokenizerKind",
    "TokenizerSettings",
    "fit",
    "is_unicode",
]
