"""How a user's wishes change the way a model searches for its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heedful.errors import RequestError
from heedful.generation import GenerationSettings, changed
from heedful.settings import nearest
from heedful.tasks.text_to_text.author import Author

LENGTHS = ("short", "medium", "long")
"""Names of lengths; a number of tokens may stand instead."""


def search_settings(author: Author, **changes: Any) -> GenerationSettings:
    """The settings of the author's card with ``changes``.

    Raises:
        RequestError: one of them is impossible or unknown, or the model cannot write so long a text.
    """
    settings = changed(author.card.generation, changes)
    if changes.get("prompt_lookup_num_tokens") and settings.num_beams > 1:
        raise RequestError(
            f"prompt_lookup_num_tokens is for one beam, and {settings.num_beams} are followed",
            remedy="Set num_beams to 1, or leave it out.",
        )
    limit = author.model.max_positions
    if limit is not None and settings.max_new_tokens > limit:
        raise RequestError(
            f"{settings.max_new_tokens:,} tokens are to be written, and the model has positions for {limit:,}",
            remedy=f"Ask for {limit:,} or fewer.",
        )
    return settings


def fitted_settings(
    usual: GenerationSettings, longest: int, given: Mapping[str, Any] | None = None
) -> GenerationSettings:
    """The usual settings with what is given, for texts of ``longest`` tokens at most.

    The usual shortest length gives way; one that is given does not.

    Raises:
        RequestError: what is given is impossible.
    """
    given = given or {}
    longest = min(given.get("max_new_tokens", usual.max_new_tokens), longest)
    shortest = min(usual.min_new_tokens, longest)
    return changed(usual, {"min_new_tokens": shortest} | dict(given) | {"max_new_tokens": longest})


def length_changes(length: str, settings: GenerationSettings) -> dict[str, Any]:
    """What changes of ``settings`` for answers of a length.

    Args:
        length: ``medium`` for what the model is used to; ``short`` for a quarter of its longest answer at most;
            ``long`` for a half at least; or a number of tokens: the most, and at least half of it.

    Raises:
        RequestError: it is none of these.
    """
    longest = settings.max_new_tokens
    if length == "medium":
        return {}
    if length == "long":
        return {"min_new_tokens": max(longest // 2, settings.min_new_tokens)}
    if length == "short":
        longest, shortest = max(longest // 4, 1), min(settings.min_new_tokens, longest // 8)
    elif length.isdecimal() and int(length) > 0:
        longest, shortest = int(length), int(length) // 2
    else:
        raise RequestError(
            f"{length!r} is no length of a text",
            remedy=f"Give a number of tokens, or a name: {nearest(length, LENGTHS)}",
        )
    return {"max_new_tokens": longest, "min_new_tokens": shortest}
