"""Tokenizers of the ``tokenizers`` library, built from the files that came before ``tokenizer.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tokenizers as hf
from tokenizers import decoders, models, normalizers, pre_tokenizers

from heedful.text.hints import TokenizerHints
from heedful.text.sentencepiece import ModelKind, Piece, PieceKind, SentencePieceModel

Options = Mapping[str, Any]
SPACE = "▁"
"""How SentencePiece writes a space."""
_ABSENT = " "
"""In front of a token that no text may become: a space never reaches the model."""


def build_wordpiece(vocabulary: Mapping[str, int], unknown: str, options: Options) -> hf.Tokenizer:
    """The tokenizer of BERT (Devlin et al. 2019, section 4 of its code release) and its relatives."""
    backend = hf.Tokenizer(models.WordPiece(dict(vocabulary), unk_token=unknown, max_input_chars_per_word=100))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(options["tokenize_chinese_chars"]),
        strip_accents=options["strip_accents"],
        lowercase=bool(options["do_lower_case"]),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    return backend


def build_byte_bpe(
    vocabulary: Mapping[str, int], merges: Iterable[tuple[str, str]], hints: TokenizerHints, options: Options
) -> hf.Tokenizer:
    """The tokenizer of GPT-2 (Radford et al. 2019, section 2.2) and its relatives."""
    backend = hf.Tokenizer(models.BPE(dict(vocabulary), list(merges)))
    if hints.nfc:
        backend.normalizer = normalizers.NFC()
    prefix = bool(options.get("add_prefix_space"))
    if hints.words is None:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    else:
        split = pre_tokenizers.Split(hf.Regex(hints.words), "isolated")
        level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    backend.decoder = decoders.ByteLevel()
    return backend


def build_sentencepiece(model: SentencePieceModel, vocabulary: Sequence[Piece], options: Options) -> hf.Tokenizer:
    """The tokenizer of a SentencePiece model (Kudo and Richardson 2018).

    Args:
        vocabulary: the pieces in the order of their ids, which may be others than those of the model: exactly one
            of kind UNKNOWN, some of kind CONTROL, and some of kind UNUSED, which the model does not know.
        options: ``add_prefix_space`` false leaves out the space in front of a text; the rest is that of ALBERT and
            DeBERTa.
    """
    prefix = model.dummy_prefix and options.get("add_prefix_space") is not False
    symbols = [piece.text for piece in vocabulary if piece.kind is PieceKind.USER_DEFINED]
    if model.kind is ModelKind.UNIGRAM:
        backend = hf.Tokenizer(_unigram(model, vocabulary))
    else:
        backend = hf.Tokenizer(_bpe(model, vocabulary))
        backend.add_tokens([hf.AddedToken(symbol, normalized=False) for symbol in symbols])
    backend.normalizer = normalizers.Sequence(_sentencepiece_normalizers(model, options, prefix=prefix))
    within_words = all(SPACE not in piece.text[1:] for piece in vocabulary)
    steps: list[Any] = [pre_tokenizers.Punctuation("isolated")] if options.get("split_by_punct") else []
    if within_words:
        steps.append(pre_tokenizers.Split(SPACE, "merged_with_next"))
    if steps:
        backend.pre_tokenizer = pre_tokenizers.Sequence(steps)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(_ABSENT, ""),
            decoders.Replace(SPACE, " "),
            *([decoders.ByteFallback()] if model.byte_fallback else []),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if prefix else []),
        ]
    )
    return backend


def _unigram(model: SentencePieceModel, vocabulary: Sequence[Piece]) -> Any:
    highest = max((piece.score for piece in vocabulary if piece.kind is PieceKind.NORMAL), default=0.0)
    entries = []
    for piece in vocabulary:
        text, score = piece.text, piece.score
        if piece.kind is PieceKind.UNUSED:
            text, score = _ABSENT + text, 0.0
        elif piece.kind is PieceKind.USER_DEFINED:  # never cut: it beats every sum of the scores of its parts
            score = len(text.encode()) * highest - 0.1
        elif piece.kind is not PieceKind.NORMAL:
            score = 0.0
        entries.append((text, score))
    unknown = next(number for number, piece in enumerate(vocabulary) if piece.kind is PieceKind.UNKNOWN)
    return models.Unigram(entries, unk_id=unknown, byte_fallback=model.byte_fallback)


def _bpe(model: SentencePieceModel, vocabulary: Sequence[Piece]) -> Any:
    ids = {
        _ABSENT + piece.text if piece.kind is PieceKind.UNUSED else piece.text: number
        for number, piece in enumerate(vocabulary)
    }
    parts = {piece.text for piece in vocabulary if piece.kind is PieceKind.NORMAL}
    ordered = sorted((piece for piece in vocabulary if piece.text in parts), key=lambda piece: -piece.score)
    merges = [
        (piece.text[:cut], piece.text[cut:])
        for piece in ordered
        for cut in range(1, len(piece.text))
        if piece.text[:cut] in parts and piece.text[cut:] in parts
    ]
    unknown = next(piece.text for piece in vocabulary if piece.kind is PieceKind.UNKNOWN)
    return models.BPE(ids, merges, unk_token=unknown, fuse_unk=True, byte_fallback=model.byte_fallback)


def _sentencepiece_normalizers(model: SentencePieceModel, options: Options, *, prefix: bool) -> list[Any]:
    steps: list[Any] = []
    if options.get("replace_quotes"):
        steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if options.get("keep_accents") is False:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if options.get("do_lower_case"):
        steps.append(normalizers.Lowercase())
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if options.get("any_whitespace"):
        steps.append(normalizers.Replace(hf.Regex(r"\s"), " "))
    if model.remove_extra_whitespaces:
        steps += [normalizers.Replace(hf.Regex(" {2,}"), " "), normalizers.Replace(hf.Regex(r"\A | \z"), "")]
    if prefix:
        steps.append(normalizers.Prepend(SPACE))
    return [*steps, normalizers.Replace(" ", SPACE)]
