"""What the files beside a vocabulary say: special tokens by role, options, added tokens, prefixes, chat template."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers as hf

from heedful.errors import CheckpointError
from heedful.text.files import read_json, read_text
from heedful.text.hints import HINTS, LanguageHints, TokenizerHints, names_of

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
OWN_KEY = "heedful"
"""In tokenizer_config.json: what we know of a tokenizer and its other keys have no place for."""

_ADDED = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


class TokenizerFolder:
    """The folder of a tokenizer, of ours or of anybody's."""

    def __init__(self, path: Path) -> None:
        """Raises CheckpointError where a file is damaged."""
        self.path = path
        self.model_config = self._json("config.json")
        config, named = self._json(CONFIG_FILE), self._json("special_tokens_map.json")
        # Where the configuration tells tokens in full it is the newer of the two.
        self.config: dict[str, Any] = named | config if "added_tokens_decoder" in config else config | named
        self.own = _mapping(config.get(OWN_KEY))

    def has(self, *names: str) -> bool:
        """Whether all these files are there."""
        return all((self.path / name).is_file() for name in names)

    def option(self, key: str, hints: TokenizerHints) -> Any:
        """What tokenizer_config.json says, else what the family does."""
        return self.config.get(key, hints.options.get(key))

    def hints_name(self, known: Container[str]) -> str:
        """The row of ``HINTS`` that holds; of several that of the languages that are ``known``; empty for none."""
        saved = self.own.get("hints")
        if saved in HINTS:
            return str(saved)
        names = names_of(
            self.config.get("tokenizer_class") or self.model_config.get("tokenizer_class"),
            self.model_config.get("model_type"),
        )
        shares = {name: _share_known(HINTS[name].languages, known) for name in names}
        best = max(shares.values(), default=0.0)
        return next((name for name in names if shares[name] == best > 0), names[-1] if names else "")

    def languages(self, hints: TokenizerHints, known: Collection[str]) -> dict[str, str]:
        """Code to token of the languages whose tokens are ``known``."""
        if hints.languages is None:
            return {}
        pattern = hints.languages.pattern
        if hints.languages.codes:
            return {code: pattern.format(code) for code in hints.languages.codes if pattern.format(code) in known}
        before, after = pattern.split("{}")
        tokens = sorted(token for token in known if token.startswith(before) and token.endswith(after))
        return {token.removeprefix(before).removesuffix(after): token for token in tokens}

    def language_tokens(self, hints: TokenizerHints) -> list[str]:
        """The tokens of a family's languages in the order of the vocabulary: those that the files name, else all."""
        if hints.languages is None:
            return []
        tokens = [hints.languages.pattern.format(code) for code in hints.languages.codes]
        return [token for token in self.extra_special_tokens if token in tokens] or tokens

    def roles(self, hints: TokenizerHints) -> dict[str, str]:
        """Role to special token, as the files say, else as the family has it."""
        said = {role: _content(self.config.get(f"{role}_token")) for role in ROLES if f"{role}_token" in self.config}
        return {role: token for role, token in {**hints.roles, **said}.items() if token}

    def roles_by_id(self, backend: hf.Tokenizer) -> dict[str, str]:
        """Role to special token, by the ids in config.json."""
        ids = {role: self.model_config.get(f"{role}_token_id") for role in ROLES}
        firsts = {role: value[0] if isinstance(value, list) and value else value for role, value in ids.items()}
        tokens = {
            role: backend.id_to_token(value)
            for role, value in firsts.items()
            if type(value) is int and 0 <= value < 2**32
        }
        return {role: token for role, token in tokens.items() if token}

    @cached_property
    def extra_special_tokens(self) -> list[str]:
        """Special tokens without a role, in order."""
        listed = self.config.get("additional_special_tokens") or self.config.get("extra_special_tokens") or []
        values = list(listed.values()) if isinstance(listed, dict) else listed
        if not isinstance(values, list):
            raise self._damaged("additional_special_tokens is no list")
        return [token for token in map(_content, values) if token]

    def added_tokens(self, special: Container[str]) -> list[tuple[int, hf.AddedToken]]:
        """(id, token) of the tokens that were added to the vocabulary, in the order of their ids."""
        added: dict[int, hf.AddedToken] = {}
        for token, number in self._json("added_tokens.json").items():
            is_special = token in special
            added[_id(number)] = hf.AddedToken(token, normalized=not is_special, special=is_special)
        for number, fields in _mapping(self.config.get("added_tokens_decoder")).items():
            if not isinstance(fields, dict) or not _content(fields):
                raise self._damaged(f"the added token {number!a:.80} has no content")
            added[_id(number)] = hf.AddedToken(**{key: fields[key] for key in _ADDED if key in fields})
        return sorted(added.items(), key=lambda item: item[0])

    @property
    def own_counts(self) -> dict[str, int]:
        """File to the number of its tokens that have an embedding, where not all have one."""
        counts = _mapping(self.own.get("known"))
        return {file: count for file, count in counts.items() if type(count) is int and count > 0}

    @property
    def prefixes(self) -> dict[str, str]:
        """Task to what T5 wants in front of a text of that task."""
        if "prefixes" in self.own:
            given = self.own["prefixes"]
        else:
            tasks = _mapping(self.model_config.get("task_specific_params"))
            given = {task: _mapping(settings).get("prefix") for task, settings in tasks.items()}
        return {task: prefix for task, prefix in _mapping(given).items() if isinstance(prefix, str) and prefix}

    @property
    def chat_template(self) -> str | None:
        """The template of a conversation, in Jinja; of several the one called ``default``."""
        if self.has(CHAT_TEMPLATE_FILE):
            return read_text(self.path / CHAT_TEMPLATE_FILE)
        given = self.config.get("chat_template")
        if isinstance(given, list):
            given = {_mapping(entry).get("name"): _mapping(entry).get("template") for entry in given}.get("default")
        return given if isinstance(given, str) else None

    def _json(self, name: str) -> dict[str, Any]:
        return read_json(self.path / name) if self.has(name) else {}

    def _damaged(self, fault: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path / CONFIG_FILE}: {fault}", remedy="Take an intact copy of the tokenizer's files."
        )


def _share_known(languages: LanguageHints | None, known: Container[str]) -> float:
    if languages is None or not languages.codes:
        return 0.0
    return sum(languages.pattern.format(code) in known for code in languages.codes) / len(languages.codes)


def _content(token: object) -> str | None:
    """The text of a token, which may be written with its properties."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _id(number: object) -> int:
    if isinstance(number, str) and number.isdecimal() and len(number) < 10:
        return int(number)
    if type(number) is int and 0 <= number < 2**31:
        return number
    raise CheckpointError(f"{number!a:.80} is no id of a token", remedy="Take an intact copy of the tokenizer's files.")
