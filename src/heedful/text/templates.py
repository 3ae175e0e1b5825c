"""Where special tokens stand around a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Mapping

import tokenizers as hf
from tokenizers import processors

from heedful.errors import CheckpointError
from heedful.text.hints import CODE_LAST, TokenizerHints


def plain_templates(hints: TokenizerHints, *, bos: bool, eos: bool) -> tuple[str, str]:
    """(single, pair) of a family; ``bos`` and ``eos`` hold where it leaves the choice to a tokenizer."""
    if hints.templates[0] != "$A" or not (bos or eos):
        return hints.templates
    before, after = ("{bos} " if bos else ""), (" {eos}" if eos else "")
    second_before, second_after = ("{bos}:1 " if bos else ""), (" {eos}:1" if eos else "")
    single = f"{before}$A{after}"
    return single, f"{single} {second_before}$B:1{second_after}"


def language_templates(hints: TokenizerHints, *, legacy: bool) -> tuple[str, str]:
    """(single, pair) with the language of the text; NLLB first had its code at the other end (``legacy``)."""
    single = "$A" if hints.languages is None else hints.languages.single
    if legacy:
        single = CODE_LAST
    return single, single.replace("$A", "$A $B")


def set_templates(backend: hf.Tokenizer, single: str, pair: str, tokens: Mapping[str, str]) -> None:
    """Give a tokenizer its templates.

    Args:
        tokens: what stands for the names in the templates: special tokens by role, and ``code``.

    Raises:
        CheckpointError: a template needs a token that the tokenizer does not have.
    """
    sides = [_fill(template, tokens) for template in (single, pair)]
    special = {item.rpartition(":")[0] for items in sides for item in items if not item.startswith("$")}
    missing = sorted(token for token in special if backend.token_to_id(token) is None)
    if missing:
        raise _without(missing[0])
    backend.post_processor = processors.TemplateProcessing(
        single=sides[0], pair=sides[1], special_tokens=[(token, backend.token_to_id(token)) for token in special]
    )


def ends(template: str, tokens: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The special tokens before and after the text in the template of a single one."""
    before, after = template.split("$A")
    first, last = ([item.rpartition(":")[0] for item in _fill(part, tokens)] for part in (before, after))
    return first, last


def _fill(template: str, tokens: Mapping[str, str]) -> list[str]:
    """The items of a template, each with its token type."""
    items = []
    for item in template.split():
        name, _, token_type = item.partition(":")
        try:
            items.append(f"{name.format_map(tokens)}:{token_type or 0}")
        except KeyError:
            raise _without(name) from None
    return items


def _without(token: str) -> CheckpointError:
    return CheckpointError(
        f"the tokenizer has no token {token!a:.80}, which stands at the end of every text",
        remedy="Name the special tokens in tokenizer_config.json.",
    )
