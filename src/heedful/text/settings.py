"""What a tokenizer to be trained should be."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from heedful.settings import Settings

MIN_BYTE_LEVEL = 300
"""256 bytes, the special tokens, and some merges."""


class TokenizerKind(StrEnum):
    """How text is cut into tokens."""

    BPE = "bpe"
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019, section 2.2): knows every text,
    and gives every text back as it was."""

    UNIGRAM = "unigram"
    """The most probable segmentation (Kudo 2018); suits text without spaces, such as Chinese. Gives a text back
    but for one space at its beginning and for characters outside the vocabulary."""

    WORDPIECE = "wordpiece"
    """The longest known beginning of each word, then of its rest (Devlin et al. 2019). Each Chinese character is
    a word. Spaces are not kept, so a text comes back roughly."""

    CHARACTERS = "characters"
    """One token a character. Gives a text back but for characters outside the vocabulary."""


class TokenizerSettings(Settings):
    """How :meth:`heedful.text.Tokenizer.train` makes a tokenizer."""

    kind: TokenizerKind = Field(TokenizerKind.BPE, description="how text is cut into tokens")
    vocabulary_size: int = Field(
        8_000, ge=16, le=1_000_000, description="most tokens to learn, special ones included; less data give fewer"
    )
    lowercase: bool = Field(False, description="fold letter case")
    nfkc: bool = Field(False, description="fold compatible characters, such as full-width letters and ligatures")

    @model_validator(mode="after")
    def _holds_all_bytes(self) -> TokenizerSettings:
        if self.kind is TokenizerKind.BPE and self.vocabulary_size < MIN_BYTE_LEVEL:
            raise ValueError(f"vocabulary_size must be at least {MIN_BYTE_LEVEL} for bpe, which holds all 256 bytes")
        return self
