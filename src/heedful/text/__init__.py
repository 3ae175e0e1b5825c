"""Text to token ids: tokenizers, training them, and fitting long texts into a model."""

from __future__ import annotations

from heedful.text.settings import TokenizerKind, TokenizerSettings
from heedful.text.tokenizer import Encoding, SpecialTokens, Tokenizer

__all__ = ["Encoding", "SpecialTokens", "Tokenizer", "TokenizerKind", "TokenizerSettings"]
