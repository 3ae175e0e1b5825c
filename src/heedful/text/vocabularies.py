"""Vocabularies from the files that came before ``tokenizer.json``; which files exist decides who reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any

import tokenizers as hf

from heedful.errors import CheckpointError
from heedful.text.building import build_byte_bpe, build_sentencepiece, build_wordpiece
from heedful.text.files import read_bytes, read_json, read_text
from heedful.text.folder import TOKENIZER_FILE, TokenizerFolder
from heedful.text.hints import HINTS, TokenizerHints
from heedful.text.sentencepiece import Piece, PieceKind, SentencePieceModel, parse_model

_FAIRSEQ_MODEL = "sentencepiece.bpe.model"
_SENTENCEPIECE_FILES = (_FAIRSEQ_MODEL, "spiece.model", "spm.model", "tokenizer.model", "sentencepiece.model")
TARGET_FILES = (f"target_{TOKENIZER_FILE}", "target.spm")
"""Either tells that the two sides of a translation have tokenizers of their own."""
_FROM_TEXT = (PieceKind.NORMAL, PieceKind.USER_DEFINED)


class Side(StrEnum):
    """Of a translation: some families have a tokenizer for each."""

    SOURCE = "source"
    TARGET = "target"

    @property
    def file(self) -> str:
        """The tokenizer of this side in a folder of ours."""
        return TOKENIZER_FILE if self is Side.SOURCE else TARGET_FILES[0]


@dataclass(frozen=True)
class Vocabulary:
    """What the files of a vocabulary make."""

    backend: hf.Tokenizer
    hints: str
    """The row of :data:`~heedful.text.hints.HINTS` that holds; empty for none."""
    reserved: Sequence[str] = ()
    """Tokens that no text may become."""
    known: int | None = None
    """Ids from here on are pieces without an embedding; None where there are none."""
    special: Sequence[str] = ()
    """Tokens that come from no text, such as those of languages: they are left out of what is decoded."""


def read_vocabulary(folder: TokenizerFolder, side: Side) -> Vocabulary | None:
    """The vocabulary of a folder without ``tokenizer.json``; None where there is none.

    Raises:
        CheckpointError: a file is damaged, or nothing says what family's it is.
    """
    for files, read in _READERS:
        if folder.has(*files):
            return read(folder, side)
    name = next((name for name in _SENTENCEPIECE_FILES if folder.has(name)), None)
    return None if name is None else _sentencepiece(folder, name)


def _wordpiece(folder: TokenizerFolder, _: Side) -> Vocabulary:
    name = folder.hints_name(()) or "Bert"
    hints = HINTS[name]
    lines = read_text(folder.path / "vocab.txt").removesuffix("\n").split("\n")
    vocabulary = {line.rstrip(): number for number, line in enumerate(lines)}
    backend = build_wordpiece(vocabulary, folder.roles(hints)["unk"], _options(folder, hints))
    return Vocabulary(backend, name)


def _byte_bpe(folder: TokenizerFolder, _: Side) -> Vocabulary:
    name = folder.hints_name(()) or "GPT2"
    hints = HINTS[name]
    merges = []
    for number, line in enumerate(read_text(folder.path / "merges.txt").split("\n"), 1):
        if not line or line.startswith("#version"):
            continue
        parts = line.rstrip("\r").split(" ")
        if len(parts) != 2:
            raise _damaged(folder, "merges.txt", f"line {number:,} holds {len(parts)} pieces, not 2")
        merges.append((parts[0], parts[1]))
    backend = build_byte_bpe(_ids(folder, "vocab.json"), merges, hints, _options(folder, hints))
    return Vocabulary(backend, name)


def _sentencepiece(folder: TokenizerFolder, file: str) -> Vocabulary:
    name = folder.hints_name(folder.extra_special_tokens)
    if not name:
        raise CheckpointError(
            f"{folder.path / file} is a SentencePiece model, and nothing says what family it is of",
            remedy="Give tokenizer_class in tokenizer_config.json, or the model's config.json with its model_type.",
        )
    hints = HINTS[name]
    model = _read_model(folder, file)
    roles = folder.roles(hints)
    before = [_special(token, roles) for token in hints.first]
    languages = folder.language_tokens(hints)
    sentinels = [f"<extra_id_{number}>" for number in reversed(range(_count(folder.option("extra_ids", hints))))]
    after = [_special(token, roles) for token in (*languages, *sentinels, *hints.last)]
    return _vocabulary(folder, name, model, [*before, *model.pieces[hints.skipped :], *after])


def _marian(folder: TokenizerFolder, side: Side) -> Vocabulary:
    separate = side is Side.TARGET and folder.has("target_vocab.json")
    ids = _ids(folder, "target_vocab.json" if separate else "vocab.json")
    return _mapped(folder, "Marian", f"{side}.spm", ids)


def _m2m100(folder: TokenizerFolder, _: Side) -> Vocabulary:
    return _mapped(folder, "M2M100", _FAIRSEQ_MODEL, _ids(folder, "vocab.json"))


def _mapped(folder: TokenizerFolder, name: str, file: str, ids: Mapping[str, int]) -> Vocabulary:
    """A model whose pieces have other ids, and not all of them one."""
    hints = HINTS[name]
    model = _read_model(folder, file)
    if sorted(ids.values()) != list(range(len(ids))):
        raise _damaged(folder, "vocab.json", f"its {len(ids):,} ids are not 0 to {len(ids) - 1:,}")
    roles = folder.roles(hints)
    languages = folder.language_tokens(hints)
    special = {*roles.values(), *languages}
    pieces = {piece.text: piece for piece in model.pieces}
    vocabulary = []
    for token in chain(sorted(ids, key=ids.__getitem__), (token for token in languages if token not in ids)):
        piece = pieces.pop(token, Piece(token, 0.0, PieceKind.UNUSED))
        if token in special or (name == "Marian" and token.startswith(">>")):
            piece = _special(token, roles)
        elif piece.kind is PieceKind.CONTROL:
            piece = piece._replace(kind=PieceKind.UNUSED)
        vocabulary.append(piece)
    unlisted = [piece for piece in pieces.values() if piece.kind in (*_FROM_TEXT, PieceKind.BYTE)]
    known = len(vocabulary) if unlisted else None
    return replace(_vocabulary(folder, name, model, [*vocabulary, *unlisted]), known=known)


def _vocabulary(folder: TokenizerFolder, name: str, model: SentencePieceModel, pieces: Sequence[Piece]) -> Vocabulary:
    seen: set[str] = set()
    vocabulary = []
    for piece in pieces:
        vocabulary.append(piece if piece.text not in seen else Piece(f"{piece.text} again", 0.0, PieceKind.UNUSED))
        seen.add(piece.text)
    if [piece.kind for piece in vocabulary].count(PieceKind.UNKNOWN) != 1:
        raise _damaged(folder, "the vocabulary", "not exactly one token stands for what is unknown")
    backend = build_sentencepiece(model, vocabulary, _options(folder, HINTS[name]))
    reserved = [piece.text for piece in vocabulary if piece.kind not in (*_FROM_TEXT, PieceKind.UNUSED)]
    special = [piece.text for piece in vocabulary if piece.kind is PieceKind.CONTROL]
    return Vocabulary(backend, name, reserved, special=special)


def _special(token: str, roles: Mapping[str, str]) -> Piece:
    text = token.format_map(roles) if token.startswith("{") else token
    return Piece(text, 0.0, PieceKind.UNKNOWN if text == roles.get("unk") else PieceKind.CONTROL)


def _read_model(folder: TokenizerFolder, file: str) -> SentencePieceModel:
    return parse_model(read_bytes(folder.path / file), name=str(folder.path / file))


def _ids(folder: TokenizerFolder, file: str) -> dict[str, int]:
    ids = read_json(folder.path / file)
    for token, number in ids.items():
        if type(number) is not int or not 0 <= number < 2**31:
            raise _damaged(folder, file, f"the token {token!a:.80} has the id {number!a:.80}")
    return ids


def _options(folder: TokenizerFolder, hints: TokenizerHints) -> dict[str, Any]:
    return {**hints.options, **folder.config}


def _count(value: object) -> int:
    if value is None:
        return 0
    if type(value) is int and 0 <= value <= 10_000:
        return value
    raise CheckpointError(f"extra_ids is {value!a:.80}, not a count up to 10,000", remedy="T5 has 100 of them.")


def _damaged(folder: TokenizerFolder, file: str, fault: str) -> CheckpointError:
    return CheckpointError(f"{folder.path / file}: {fault}", remedy="Take an intact copy of the tokenizer's files.")


_READERS: Sequence[tuple[tuple[str, ...], Callable[[TokenizerFolder, Side], Vocabulary]]] = (
    (("vocab.txt",), _wordpiece),
    (("vocab.json", "merges.txt"), _byte_bpe),
    (("source.spm", "target.spm", "vocab.json"), _marian),
    ((_FAIRSEQ_MODEL, "vocab.json"), _m2m100),
)
"""The files that a reader needs; the first whose files are all there reads them."""
