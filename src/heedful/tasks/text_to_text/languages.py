"""From which language into which: each family says it in a way of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from heedful.errors import DataError, RequestError, UnsupportedError
from heedful.settings import nearest
from heedful.tasks.text_to_text.settings import TextToTextCard
from heedful.text import Encoding, TargetMark, Tokenizer


def with_languages(
    card: TextToTextCard, tokenizer: Tokenizer, *, source: str | None, target: str | None
) -> TextToTextCard:
    """The card of a model that is to write ``target`` for texts in ``source``.

    T5 is told in words in front of each source; Marian's models of several languages by a token there; M2M-100, NLLB
    and mBART-50 write the token of the target's language first, and mBART's decoder reads it first. A model of one pair
    is told nothing; its languages are what its recipe, or else its user, says they are.

    Args:
        source: of the languages that the model knows; None for the usual one.
        target: likewise; None for what the checkpoint's own files say.

    Raises:
        RequestError: the model does not know a language, or none at all.
    """
    changes: dict[str, Any] = {"source_language": source, "target_language": target}
    mark = tokenizer.target_mark
    if mark is None and not _pairs(tokenizer):
        changes = _of_one_pair(card, source, target)
    elif mark is None:
        if source or target:
            changes["prefix"] = _prefix(tokenizer, source, target)
    elif mark is TargetMark.SOURCE:
        if target:
            tokenizer.target_start(target)  # refuses one that is not known
    else:
        if source:
            tokenizer.target_start(source)
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


def read_languages(card: TextToTextCard, tokenizer: Tokenizer, said: Sequence[str | None]) -> list[str | None]:
    """The languages whose tokens are to mark texts, where those of their targets may be ``said`` one by one.

    Raises:
        RequestError: the model was trained to write several, and nothing says which one is wanted.
    """
    usual = read_language(card, tokenizer)
    languages = [language or usual for language in said]
    if None in languages and card.columns.target_language is not None:
        raise RequestError(
            "the model writes several languages, and nothing says which one is wanted",
            remedy=f"Choose one with --to, or with set_languages(target=…); {nearest('', tokenizer.languages)}.",
        )
    return languages


def encode_marked(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    languages: Sequence[str | None],
    *,
    dropout: float = 0.0,
    seeds: Sequence[int] | None = None,
) -> list[Encoding]:
    """Tokenize texts with the marks of their ``languages``; see :meth:`Tokenizer.encode_batch`."""
    encodings: dict[int, Encoding] = {}
    for language in dict.fromkeys(languages):
        rows = [row for row, other in enumerate(languages) if other == language]
        own = None if seeds is None else [seeds[row] for row in rows]
        encoded = tokenizer.encode_batch([texts[row] for row in rows], language=language, dropout=dropout, seeds=own)
        encodings.update(zip(rows, encoded, strict=True))
    return [encodings[row] for row in range(len(texts))]


def check_languages(tokenizer: Tokenizer, languages: Sequence[str]) -> None:
    """Refuse languages of targets that the model cannot be told of in front of the sources.

    Raises:
        UnsupportedError: it is told of none there.
        DataError: it does not know one of them.
    """
    if languages and tokenizer.target_mark is not TargetMark.SOURCE:
        raise UnsupportedError(
            "the rows say the language of each target, and this model is not told it in front of the source",
            remedy="Leave out data.columns.target_language; or train a model of several languages from scratch.",
        )
    unknown = [language for language in languages if language not in tokenizer.languages]
    if unknown:
        raise DataError(
            f"the targets of some rows are in {unknown[0]!r}, which the model does not know",
            remedy=f"{nearest(unknown[0], tokenizer.languages).capitalize()}",
        )


def _pairs(tokenizer: Tokenizer) -> list[str]:
    """The pairs of languages that have a prefix."""
    return [task for task in tokenizer.prefixes if task.startswith("translation_")]


def _of_one_pair(card: TextToTextCard, source: str | None, target: str | None) -> dict[str, str | None]:
    changes = {}
    for side, said, own in (
        ("source", source, card.source_language),
        ("target", target, card.target_language),
    ):
        if said and own and said != own:
            pair = f"from {card.source_language or 'one language'} to {card.target_language or 'another'}"
            raise RequestError(
                f"the model translates {pair}, and the {side} is to be {said!a:.40}",
                remedy=f"Name {own}, or nothing.",
            )
        changes[f"{side}_language"] = said or own
    return changes


def _prefix(tokenizer: Tokenizer, source: str | None, target: str | None) -> str:
    wanted = f"translation_{source}_to_{target}"
    if wanted not in tokenizer.prefixes:
        said = [f"{word} {language!a:.40}" for word, language in (("from", source), ("to", target)) if language]
        raise RequestError(f"the model does not translate {' '.join(said)}", remedy=nearest(wanted, _pairs(tokenizer)))
    return tokenizer.prefixes[wanted]
