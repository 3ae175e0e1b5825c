"""What a tokenizer to be trained should be."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, PositiveInt


class TokenizerKind(StrEnum):
    """How text is cut into tokens."""

    BPE = "bpe"
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): no unknown token, and
    ``decode(encode(x)) == x`` for every text."""

    UNIGRAM = "unigram"
    """Unigram language model (Kudo 2018): the most probable segmentation; suits text without spaces."""

    WORDPIECE = "wordpiece"
    """WordPiece as in BERT (Devlin et al. 2019): words and punctuation, then greedy longest match."""

    CHARACTERS = "characters"
    """One token a character."""


class TokenizerSettings(BaseModel):
    """Settings of :meth:`heedful.text.Tokenizer.train`.

    ``vocabulary_size`` is the most entries the vocabulary may have, special tokens included; where the texts
    hold less there are fewer. ``nfkc`` folds compatibility forms (full-width letters, ligatures) together and
    ``lowercase`` folds case; with either, decoding gives the normalised text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TokenizerKind = TokenizerKind.BPE
    vocabulary_size: PositiveInt = 8_000
    lowercase: bool = False
    nfkc: bool = False
