"""From which language into which: each family says it in a way of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heedful.errors import RequestError
from heedful.settings import nearest
from heedful.tasks.text_to_text.settings import TextToTextCard
from heedful.text import TargetMark, Tokenizer


def with_languages(
    card: TextToTextCard, tokenizer: Tokenizer, *, source: str | None, target: str | None
) -> TextToTextCard:
    """The card of a model that is to write ``target`` for texts in ``source``.

    T5 is told in words in front of each source; Marian's models of several languages by a token there; M2M-100, NLLB
    and mBART-50 write the token of the target's language first, and mBART's decoder reads it first.

    Args:
        source: of the languages that the model knows; None for the usual one.
        target: likewise; None for what the checkpoint's own files say.

    Raises:
        RequestError: the model does not know a language, or none at all.
    """
    changes: dict[str, Any] = {"source_language": source, "target_language": target}
    mark = tokenizer.target_mark
    if mark is None:
        if source or target:
            changes["prefix"] = _prefix(tokenizer.prefixes, source, target)
    elif mark is TargetMark.SOURCE:
        for language in filter(None, (target,)):
            tokenizer.target_start(language)
    else:
        for language in filter(None, (source,)):
            tokenizer.target_start(language)
        if target is not None:
            field = "decoder_start_token_id" if mark is TargetMark.START else "forced_bos_token_id"
            changes["generation"] = card.generation.model_copy(update={field: tokenizer.target_start(target)})
    return card.model_copy(update=changes)


def read_language(card: TextToTextCard, tokenizer: Tokenizer) -> str | None:
    """The language whose token is to mark what is read; None for the usual one, or none."""
    mark = tokenizer.target_mark
    if mark is None:
        return None
    return card.target_language if mark is TargetMark.SOURCE else card.source_language


def _prefix(prefixes: Mapping[str, str], source: str | None, target: str | None) -> str:
    wanted = f"translation_{source}_to_{target}"
    if wanted not in prefixes:
        known = [task for task in prefixes if task.startswith("translation_")]
        raise RequestError(
            f"the model does not translate from {source!a:.40} to {target!a:.40}",
            remedy=nearest(wanted, known) if known else "It has one pair of languages; name none.",
        )
    return prefixes[wanted]
