"""Reading SentencePiece models: protocol buffers, read by hand and without trust.

Field numbers are those of ``sentencepiece_model.proto``; the wire format is that of Protocol Buffers (Google,
*Encoding*), of which a model needs variable-length integers, 32-bit floats and strings.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from heedful.errors import CheckpointError
from heedful.text.charsmap import check_charsmap

MAX_PIECES = 2_000_000
MAX_PIECE = 512
"""Characters of a piece; trained pieces have 16 at most, unless told otherwise."""


class ModelKind(IntEnum):
    """``TrainerSpec.ModelType``, as far as it is read."""

    UNIGRAM = 1
    BPE = 2


class PieceKind(IntEnum):
    """``ModelProto.SentencePiece.Type``."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Piece(NamedTuple):
    """One entry of the vocabulary."""

    text: str
    score: float
    kind: PieceKind


@dataclass(frozen=True)
class SentencePieceModel:
    """What a model file says."""

    kind: ModelKind
    pieces: tuple[Piece, ...]
    byte_fallback: bool
    charsmap: bytes
    """The normalization rules, precompiled; empty for none."""
    dummy_prefix: bool
    """A space is put in front of a text."""
    remove_extra_whitespaces: bool

    @property
    def unknown(self) -> int:
        """Number of the piece that stands for what is unknown."""
        return next(number for number, piece in enumerate(self.pieces) if piece.kind is PieceKind.UNKNOWN)


def parse_model(content: bytes, *, name: str) -> SentencePieceModel:
    """Read a model.

    Args:
        name: what the model is called in messages, such as the path of its file.

    Raises:
        CheckpointError: it is damaged, or is of a kind that cannot be run (``word``, ``char``, spaces as suffixes).
    """
    try:
        return _model(content)
    except (ValueError, struct.error) as error:
        raise CheckpointError(
            f"{name} is not a SentencePiece model that can be used: {error}", remedy="Take an intact copy of the file."
        ) from error


def _model(content: bytes) -> SentencePieceModel:
    pieces: list[Piece] = []
    trainer: dict[int, _Value] = {}
    normalizer: dict[int, _Value] = {}
    for number, value in _fields(content):
        if number == 1:
            pieces.append(_piece(_fields_of(value)))
            if len(pieces) > MAX_PIECES:
                raise ValueError(f"more than {MAX_PIECES:,} pieces")
        elif number == 2:
            trainer |= _fields_of(value)
        elif number == 3:
            normalizer |= _fields_of(value)
    kind = _integer(trainer, 3, default=1)
    if kind not in set(ModelKind):
        raise ValueError("it is of the kind word or char; unigram and bpe are known")
    if _integer(trainer, 24, default=0):
        raise ValueError("it puts spaces at the end of words (treat_whitespace_as_suffix)")
    if not _integer(normalizer, 5, default=1):
        raise ValueError("it does not mark spaces (escape_whitespaces is off)")
    if [piece.kind for piece in pieces].count(PieceKind.UNKNOWN) != 1:
        raise ValueError("exactly one piece must stand for what is unknown")
    if len({piece.text for piece in pieces}) < len(pieces):
        raise ValueError("a piece occurs twice")
    charsmap = _bytes(normalizer.get(2, b""))
    check_charsmap(charsmap)
    return SentencePieceModel(
        kind=ModelKind(kind),
        pieces=tuple(pieces),
        byte_fallback=bool(_integer(trainer, 35, default=0)),
        charsmap=charsmap,
        dummy_prefix=bool(_integer(normalizer, 3, default=1)),
        remove_extra_whitespaces=bool(_integer(normalizer, 4, default=1)),
    )


_Value = int | bytes
"""A variable-length integer, or the bytes of anything else."""


def _fields_of(value: _Value) -> dict[int, _Value]:
    """The fields of a message inside a message; of those that occur several times, the last."""
    return dict(_fields(_bytes(value)))


def _piece(fields: dict[int, _Value]) -> Piece:
    text = _bytes(fields.get(1, b"")).decode("utf-8")
    if not 0 < len(text) <= MAX_PIECE:
        raise ValueError(f"a piece of {len(text):,} characters; 1 to {MAX_PIECE} are allowed")
    (score,) = struct.unpack("<f", _bytes(fields.get(2, bytes(4))))
    if not abs(score) < 1e30:
        raise ValueError(f"the piece {text!a:.80} has the score {score}")
    return Piece(text, score, PieceKind(_integer(fields, 3, default=1)))


def _integer(fields: dict[int, _Value], number: int, *, default: int) -> int:
    value = fields.get(number, default)
    if not isinstance(value, int):
        raise ValueError(f"field {number} holds no integer")  # noqa: TRY004 - a fault of the file, not of a caller
    return value


def _bytes(value: _Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("an integer stands where a string or a message belongs")  # noqa: TRY004 - as above
    return value


def _fields(content: bytes) -> Iterator[tuple[int, _Value]]:
    """(number, value) of each field of a message."""
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        wire_type = key & 7
        if wire_type == 0:
            value, position = _varint(content, position)
            yield key >> 3, value
            continue
        if wire_type == 2:
            size, position = _varint(content, position)
        elif wire_type in _FIXED_SIZES:
            size = _FIXED_SIZES[wire_type]
        else:
            raise ValueError(f"wire type {wire_type} at byte {position:,}")
        if size > len(content) - position:
            raise ValueError(f"a field of {size:,} bytes at byte {position:,} reaches past the end")
        yield key >> 3, content[position : position + size]
        position += size


_FIXED_SIZES = {1: 8, 5: 4}


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A variable-length integer, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise ValueError("it ends within a number")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"a number of more than 10 bytes at byte {position:,}")
