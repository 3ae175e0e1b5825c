"""Fitting long texts into a model, never silently."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.text.encoding import Encoding


class LongInput(StrEnum):
    """What happens to a text of more tokens than the model takes."""

    ERROR = "error"
    """It is refused."""
    TRUNCATE = "truncate"
    """Its end is cut off."""
    TRUNCATE_MIDDLE = "truncate_middle"
    """Its middle is cut out: beginnings and ends tend to say more (Sun et al. 2019, section 5.3.1)."""
    WINDOW = "window"
    """It is read in overlapping windows, whose answers the task puts together."""


@dataclass(frozen=True, slots=True)
class FittedText:
    """A text as the model will see it, and what that took."""

    windows: tuple[Encoding, ...]
    """One, unless the text is read in windows; each has the special tokens at its ends."""
    cut_tokens: int = 0
    """Tokens of the text that are in no window."""


def fit(
    encoding: Encoding,
    max_length: int,
    long_input: LongInput = LongInput.ERROR,
    *,
    overlap: int | None = None,
) -> FittedText:
    """Fit a text, or a pair of texts, into ``max_length`` tokens.

    Of a pair the longer text is cut, then both alike. Special tokens are never cut.

    Args:
        max_length: tokens a model takes, special tokens included.
        overlap: tokens that neighbouring windows share at least; a quarter of what fits in if not given.

    Raises:
        InputTooLongError: the text is longer and ``long_input`` is ``error``.
        UnsupportedError: a pair of texts is longer and ``long_input`` is ``window``.
        RequestError: ``max_length`` leaves no room beside the special tokens, or ``overlap`` fills it.
    """
    excess = len(encoding) - max_length
    if excess <= 0:
        return FittedText((encoding,))
    room = max_length - sum(encoding.special)
    if room < 1:
        raise RequestError(
            f"a maximum of {max_length} tokens leaves no room for text beside the special tokens",
            remedy=f"Allow at least {max_length - room + 1} tokens.",
        )
    if long_input is LongInput.ERROR:
        raise InputTooLongError(
            f"a text has {len(encoding):,} tokens, and the model takes {max_length:,}",
            remedy="Shorten it, or set long_input to truncate, truncate_middle or window.",
        )
    if long_input is LongInput.WINDOW:
        return FittedText(_windows(encoding, room, room // 4 if overlap is None else overlap))
    return FittedText((_cut(encoding, excess, in_middle=long_input is LongInput.TRUNCATE_MIDDLE),), excess)


def _cut(encoding: Encoding, excess: int, *, in_middle: bool) -> Encoding:
    first, second = _texts(encoding)
    from_first = _share_of_first(len(first), len(second), excess)
    dropped: set[int] = set()
    for positions, count in ((first, from_first), (second, excess - from_first)):
        kept = len(positions) - count
        start = (kept + 1) // 2 if in_middle else kept
        dropped.update(positions[start : start + count])
    return encoding.select([position for position in range(len(encoding)) if position not in dropped])


def _share_of_first(first: int, second: int, excess: int) -> int:
    """How many of ``excess`` tokens the first text gives up, so that the longer one is cut, then both alike."""
    difference = first - second
    longer = min(excess, abs(difference))
    both = excess - longer
    return (longer if difference > 0 else 0) + both // 2


def _windows(encoding: Encoding, room: int, overlap: int) -> tuple[Encoding, ...]:
    content, second = _texts(encoding)
    if second:
        raise UnsupportedError(
            "a pair of texts cannot be read in windows: each would lack a part of the other text",
            remedy="Set long_input to truncate or truncate_middle, or shorten the texts.",
        )
    if not 0 <= overlap < room:
        raise RequestError(f"windows of {room} tokens cannot overlap by {overlap}", remedy=f"Choose 0 to {room - 1}.")
    last = len(content) - room
    starts = [*range(0, last, room - overlap), last]
    head, tail = range(content[0]), range(content[-1] + 1, len(encoding))
    return tuple(encoding.select([*head, *content[start : start + room], *tail]) for start in starts)


def _texts(encoding: Encoding) -> tuple[list[int], list[int]]:
    """Positions of the tokens of the first and of the second text."""
    positions: tuple[list[int], list[int]] = ([], [])
    for position, text in enumerate(encoding.texts):
        if text is not None:
            positions[text].append(position)
    return positions
