"""A folder's files as a tokenizer, with all that they say about it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tokenizers as hf

from heedful.errors import CheckpointError
from heedful.files import parse_json
from heedful.text.charsmap import check_charsmap
from heedful.text.files import library_errors, read_text
from heedful.text.folder import TOKENIZER_FILE, TokenizerFolder
from heedful.text.hints import HINTS, OWN, TokenizerHints
from heedful.text.lookalikes import keep_unreachable
from heedful.text.templates import ends, language_templates, plain_templates, set_templates
from heedful.text.vocabularies import Side, Vocabulary, read_vocabulary

_MAX_WORD = 1_000
"""Characters of a word that WordPiece may look at: it takes time with the square of them."""
_MAX_RULE = 10_000
"""Characters of a string among the rules of a tokenizer.json, which may be written once for every character."""
_INTACT = "Take an intact copy of the tokenizer's files."


@dataclass(frozen=True)
class Language:
    """What marks a language."""

    start: int
    """Id of its token, with which a translation starts."""
    before: tuple[int, ...]
    """Ids in front of a text."""
    after: tuple[int, ...]
    """Ids behind it."""


@dataclass(frozen=True)
class LoadedTokenizer:
    """A tokenizer, and what the library that runs it has no place for."""

    backend: hf.Tokenizer
    roles: Mapping[str, str]
    """Role to special token."""
    hints: str = ""
    """The row of :data:`~heedful.text.hints.HINTS` that holds; empty for none."""
    languages: Mapping[str, Language] = field(default_factory=dict)
    """By code."""
    known: int | None = None
    """Ids from here on are pieces without an embedding, which count as unknown."""
    prefixes: Mapping[str, str] = field(default_factory=dict)
    """Task to what T5 wants in front of a text."""
    chat_template: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    """Of tokenizer_config.json, what a tokenizer.json does not hold: the usual language."""


def of_languages(backend: hf.Tokenizer, roles: Mapping[str, str], codes: Sequence[str]) -> LoadedTokenizer:
    """A tokenizer trained just now, with a token for each language that can be asked for in front of a text."""
    hints = HINTS[OWN]
    assert hints.languages is not None
    tokens = {code: hints.languages.pattern.format(code) for code in codes}
    backend.add_special_tokens([_special(token) for token in tokens.values()])
    return LoadedTokenizer(backend, roles, OWN, _languages(backend, tokens, roles, hints))


def load_tokenizer(path: Path, side: Side) -> LoadedTokenizer:
    """Read the tokenizer of a folder, or a ``tokenizer.json``.

    Raises:
        CheckpointError: nothing there is a tokenizer, or a file is damaged.
    """
    folder = TokenizerFolder(path if path.is_dir() else path.parent)
    file = path
    if path.is_dir():
        file = path / (side.file if folder.has(side.file) else TOKENIZER_FILE)
    with library_errors(f"the tokenizer in {folder.path}"):
        if file.is_file():
            return _finish(folder, _read_tokenizer_json(folder, file), new=False)
        vocabulary = read_vocabulary(folder, side) if path.is_dir() else None
        if vocabulary is not None:
            return _finish(folder, vocabulary, new=True)
    raise CheckpointError(
        f"there is no tokenizer at {path}",
        remedy=f"Give a {TOKENIZER_FILE}, or a folder that holds one, or vocab.txt, or vocab.json and merges.txt, or a "
        "SentencePiece model.",
    )


def _read_tokenizer_json(folder: TokenizerFolder, file: Path) -> Vocabulary:
    """A ``tokenizer.json`` as it is, but that it neither cuts nor pads nor drops at random: batches are our work."""
    text = read_text(file)
    data = parse_json(text.encode(), name=str(file))
    _check_rules({key: value for key, value in data.items() if key not in {"model", "added_tokens"}}, str(file))
    model = data.get("model")
    longest = model.get("max_input_chars_per_word") if isinstance(model, dict) else None
    if isinstance(longest, int) and longest > _MAX_WORD:
        raise CheckpointError(
            f"{file} looks at words of {longest:,} characters, and {_MAX_WORD:,} are the limit",
            remedy="Set max_input_chars_per_word to 100, as BERT does.",
        )
    backend = hf.Tokenizer.from_str(text)
    backend.no_truncation()
    backend.no_padding()
    if getattr(backend.model, "dropout", None) is not None:
        backend.model.dropout = None
    has_bytes = isinstance(model, dict) and bool(model.get("byte_fallback"))
    reserved = [f"<0x{byte:02X}>" for byte in range(256)] if has_bytes else []
    known = folder.own_counts.get(file.name)
    return Vocabulary(backend, folder.hints_name(backend.get_vocab()), reserved, known)


def _check_rules(rules: object, name: str) -> None:
    """Raise where a rule could blow a text up, or where normalization rules are damaged."""
    if isinstance(rules, dict):
        for key, value in rules.items():
            if key == "precompiled_charsmap" and isinstance(value, str):
                try:
                    check_charsmap(base64.b64decode(value, validate=True))
                except ValueError as error:
                    raise CheckpointError(f"{name}: {error}", remedy=_INTACT) from error
            else:
                _check_rules(value, name)
    elif isinstance(rules, list):
        for value in rules:
            _check_rules(value, name)
    elif isinstance(rules, str) and len(rules) > _MAX_RULE:
        raise CheckpointError(f"{name} has a rule of {len(rules):,} characters", remedy=_INTACT)


def _finish(folder: TokenizerFolder, vocabulary: Vocabulary, *, new: bool) -> LoadedTokenizer:
    """Special tokens, templates and languages, alike for every kind of file.

    Args:
        new: the tokenizer was built here: it has no templates yet, and special tokens may be added to it.
    """
    backend, hints = vocabulary.backend, HINTS.get(vocabulary.hints, TokenizerHints())
    backend.encode_special_tokens = True
    roles = folder.roles(hints)
    _add_tokens(backend, folder, [*roles.values(), *vocabulary.special], new=new)
    ids = backend.get_vocab()
    roles = {role: token for role, token in (folder.roles_by_id(backend) | roles).items() if token in ids}
    backend.add_special_tokens([_special(token) for token in dict.fromkeys(roles.values())])

    legacy = bool(folder.option("legacy_behaviour", hints))
    languages = _languages(backend, folder.languages(hints, ids), roles, hints, legacy=legacy)
    default = str(folder.option("src_lang", hints))
    if default in languages:
        code = str(backend.id_to_token(languages[default].start))
        set_templates(backend, *language_templates(hints, legacy=legacy), {**roles, "code": code})
    elif new:
        flags = {role: bool(folder.option(f"add_{role}_token", hints)) for role in ("bos", "eos")}
        set_templates(backend, *plain_templates(hints, **flags), roles)

    special = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    keep_unreachable(backend, special.union(vocabulary.reserved))
    return LoadedTokenizer(
        backend=backend,
        roles=roles,
        hints=vocabulary.hints,
        languages=languages,
        known=vocabulary.known,
        prefixes=folder.prefixes,
        chat_template=folder.chat_template,
        options={key: folder.config[key] for key in ("src_lang", "legacy_behaviour") if key in folder.config},
    )


def _languages(
    backend: hf.Tokenizer,
    tokens: Mapping[str, str],
    roles: Mapping[str, str],
    hints: TokenizerHints,
    *,
    legacy: bool = False,
) -> dict[str, Language]:
    """What marks each language, by code; ``tokens`` are theirs."""
    ids, (single, _) = backend.get_vocab(), language_templates(hints, legacy=legacy)
    sides = {code: ends(single, {**roles, "code": token}) for code, token in tokens.items()}
    return {
        code: Language(ids[tokens[code]], tuple(ids[item] for item in before), tuple(ids[item] for item in after))
        for code, (before, after) in sides.items()
    }


def _add_tokens(backend: hf.Tokenizer, folder: TokenizerFolder, special: Sequence[str], *, new: bool) -> None:
    special = list(dict.fromkeys([*special, *folder.extra_special_tokens]))
    for number, token in folder.added_tokens(special):
        backend.add_tokens([token])
        if backend.token_to_id(token.content) != number:
            raise CheckpointError(
                f"{folder.path}: the added token {token.content!a:.80} should have the id {number:,}, and its place in "
                f"the vocabulary is {backend.token_to_id(token.content):,}",
                remedy=_INTACT,
            )
    if new:
        backend.add_special_tokens([_special(token) for token in special])


def _special(token: str) -> hf.AddedToken:
    return hf.AddedToken(token, special=True, normalized=False)
