"""From text to token ids and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from random import Random
from typing import Any

from heedful.errors import DataError, RequestError, UnsupportedError
from heedful.settings import nearest
from heedful.text.conversation import ConversationEncoder
from heedful.text.encoding import Encoding, is_unicode
from heedful.text.files import library_errors, read_json
from heedful.text.folder import CHAT_TEMPLATE_FILE, CONFIG_FILE, OWN_KEY
from heedful.text.hints import HINTS, TargetMark
from heedful.text.loading import Language, LoadedTokenizer, load_tokenizer, of_languages
from heedful.text.regularisation import SubwordSampler
from heedful.text.settings import TokenizerSettings
from heedful.text.training import ROLES, train_backend
from heedful.text.vocabularies import TARGET_FILES, Side

_SMALLEST = re.compile("(##)?.|<0x[0-9A-F]{2}>", re.DOTALL)
"""A token of one character, maybe inside a word, or of one byte."""


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the special tokens by role; None where a tokenizer has none."""

    pad: int | None = None
    unk: int | None = None
    bos: int | None = None
    eos: int | None = None
    cls: int | None = None
    sep: int | None = None
    mask: int | None = None


class Tokenizer:
    """A tokenizer and its special tokens.

    One of ours makes ``<s> … </s>`` of a text and ``<s> … </s> … </s>`` of a pair; others have their families'
    templates. What looks like a special token inside a text is read as text: nobody who writes a text can put a
    special token into it.
    """

    def __init__(self, loaded: LoadedTokenizer) -> None:
        loaded.backend.encode_special_tokens = True
        self._backend = loaded.backend
        self._loaded = loaded
        ids = {role: loaded.backend.token_to_id(token) for role, token in loaded.roles.items()}
        self.special = SpecialTokens(**ids)
        self._roles = {role: token for role, token in loaded.roles.items() if ids[role] is not None}

    @classmethod
    def train(cls, texts: Iterable[str], settings: TokenizerSettings, *, languages: Sequence[str] = ()) -> Tokenizer:
        """Train a tokenizer; the same texts and settings give the same one, byte for byte.

        Distinct words are held in memory.

        Args:
            languages: codes of those that a text can be marked with, for a model that writes several; their tokens
                come on top of the vocabulary.
        """
        backend = train_backend(texts, settings)
        return cls(of_languages(backend, ROLES, languages) if languages else LoadedTokenizer(backend, ROLES))

    @classmethod
    def load(cls, path: str | Path, *, side: Side | str = Side.SOURCE) -> Tokenizer:
        """Load the tokenizer of a folder, ours or of any known family, or a ``tokenizer.json``.

        Where a folder has only the files that came before ``tokenizer.json``, an equivalent tokenizer is built.

        Args:
            side: of a translation; the same for most families, but Marian's two sides differ.

        Raises:
            CheckpointError: a file is missing, or is not what its name says.
        """
        return cls(load_tokenizer(Path(path), Side(side)))

    @classmethod
    def load_sides(cls, folder: str | Path) -> dict[Side, Tokenizer]:
        """The tokenizers of a folder by side; that of the source alone where both sides have the same.

        Raises:
            CheckpointError: as :meth:`load`.
        """
        differ = any((Path(folder) / name).is_file() for name in TARGET_FILES)
        return {side: cls.load(folder, side=side) for side in (Side if differ else (Side.SOURCE,))}

    def save(self, folder: str | Path, *, side: Side | str = Side.SOURCE) -> None:
        """Write ``tokenizer.json``, ``tokenizer_config.json`` and maybe a chat template into a folder that exists.

        The other side of a translation goes into the same folder, as ``target_tokenizer.json``.
        """
        folder, file = Path(folder), Side(side).file
        loaded = self._loaded
        before = {}
        if (folder / CONFIG_FILE).is_file():  # of the other side
            before = read_json(folder / CONFIG_FILE).get(OWN_KEY, {})
        known = before.get("known", {}) | ({} if loaded.known is None else {file: loaded.known})
        own = {"hints": loaded.hints, "prefixes": dict(loaded.prefixes), "known": known}
        own = (before if side == Side.TARGET else {}) | {key: value for key, value in own.items() if value}
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,
            **{f"{role}_token": token for role, token in self._roles.items()},
            **loaded.options,
            **({OWN_KEY: own} if own else {}),
        }
        (folder / file).write_text(self._backend.to_str(pretty=True), encoding="utf-8")
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if loaded.chat_template is not None:
            (folder / CHAT_TEMPLATE_FILE).write_text(loaded.chat_template, encoding="utf-8")

    @property
    def vocabulary_size(self) -> int:
        """V, rows that an embedding of all tokens needs, special ones included."""
        return self._loaded.known or max(self._backend.get_vocab().values(), default=-1) + 1

    @property
    def smallest(self) -> frozenset[int]:
        """Ids of the tokens that come from no text, and of those of one character or byte, which make any text."""
        added = self._backend.get_added_tokens_decoder()
        found = {token for text, token in self._backend.get_vocab().items() if _SMALLEST.fullmatch(text)}
        return frozenset(token for token in found.union(added) if token < self.vocabulary_size)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that a multilingual family knows."""
        return tuple(self._loaded.languages)

    @property
    def target_mark(self) -> TargetMark | None:
        """Where the family puts the language of what is written; None where it has no languages."""
        hints = HINTS.get(self._loaded.hints)
        return hints.languages.target_mark if self.languages and hints and hints.languages else None

    @property
    def prefixes(self) -> Mapping[str, str]:
        """Task to what the family wants in front of a text of that task, such as ``summarize: ``."""
        return self._loaded.prefixes

    @property
    def has_chat_template(self) -> bool:
        """Whether it can put a conversation into tokens."""
        return self._loaded.chat_template is not None

    def target_start(self, language: str) -> int:
        """Id of the token that a translation into ``language`` starts with.

        Raises:
            RequestError: the tokenizer does not know the language.
        """
        return self._language(language).start

    def encode_batch(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        language: str | None = None,
        dropout: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> list[Encoding]:
        """Tokenize texts, or pairs of a text and the one beside it in ``pairs``.

        Args:
            language: of the texts, one of :attr:`languages`; for a Marian model of several languages, of their
                translations. What the family holds for usual if not given.
            dropout: subword regularisation for training, see :mod:`heedful.text.regularisation`: the probability
                that a longer piece is not used where it could be.
            seeds: one a text, for what is dropped; the same seed gives the same tokens. 0, 1, … if not given.

        Raises:
            DataError: a text is no valid Unicode.
            UnsupportedError: ``dropout`` is above 0 and the tokenizer has one way only to write a text; or pairs
                should have a language.
            RequestError: the tokenizer does not know the language.
            CheckpointError: the tokenizer's own files make it fail on these texts.
        """
        marks = None if language is None else self._language(language)
        if marks is not None and pairs is not None:
            raise UnsupportedError("a pair of texts has no language", remedy="Leave out the language, or the pairs.")
        if not 0 <= dropout < 1:
            raise RequestError(f"a dropout of {dropout} is no probability below 1")
        if not all(is_unicode(text) for text in (*texts, *(pairs or ()))):
            raise DataError(
                "a text holds half of a surrogate pair, which is no character",
                remedy="Decode the text properly, or take such characters out.",
            )
        with library_errors("the tokenizer"):
            encodings = self._encode(texts, pairs, dropout, seeds, special=marks is None)
        if marks is not None:
            encodings = [encoding.between(marks.before, marks.after) for encoding in encodings]
        return encodings

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> Encoding:
        """Tokenize a conversation with the chat template of the tokenizer.

        Special tokens of the template are special; in the messages they are text.

        Args:
            messages: each with ``role`` and ``content``, and what else the template knows.
            add_generation_prompt: end where the assistant begins to speak.

        Raises:
            UnsupportedError: the tokenizer has no chat template.
            RequestError: the template refuses the messages.
            CheckpointError: the template fails, or takes too many steps.
        """
        with library_errors("the tokenizer"):
            return self._conversations.encode(messages, add_generation_prompt=add_generation_prompt)

    def render_chat(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> str:
        """The conversation as the text that its template makes of it; raises as :meth:`encode_chat`."""
        return self._conversations.render(messages, add_generation_prompt=add_generation_prompt)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of ``ids``, without special tokens, the unknown one among them, unless told otherwise."""
        with library_errors("the tokenizer"):
            return str(self._backend.decode(list(ids), skip_special_tokens=skip_special))

    def _encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        dropout: float,
        seeds: Sequence[int] | None,
        *,
        special: bool,
    ) -> list[Encoding]:
        if dropout:
            rows = zip(texts, pairs or repeat(None, len(texts)), seeds or range(len(texts)), strict=True)
            raw = [
                self._sampler.encode(text, pair, dropout, Random(seed), special=special) for text, pair, seed in rows
            ]
        else:
            given = list(texts if pairs is None else zip(texts, pairs, strict=True))
            raw = self._backend.encode_batch(given, add_special_tokens=special)
        encodings = [Encoding.of(encoding) for encoding in raw]
        known = self._loaded.known
        if known is not None:
            for encoding in encodings:
                encoding.ids[:] = [token if token < known else self.special.unk or 0 for token in encoding.ids]
        return encodings

    def _language(self, code: str) -> Language:
        if code not in self._loaded.languages:
            hint = nearest(code, self.languages) if self.languages else "it knows none"
            raise RequestError(f"the tokenizer does not know the language {code!a:.80}; {hint}")
        return self._loaded.languages[code]

    @cached_property
    def _sampler(self) -> SubwordSampler:
        return SubwordSampler(self._backend)

    @cached_property
    def _conversations(self) -> ConversationEncoder:
        if self._loaded.chat_template is None:
            raise UnsupportedError(
                "this tokenizer has no chat template", remedy="Give the text itself, or a model made for conversations."
            )
        return ConversationEncoder(self._backend, self._loaded.chat_template, self._roles)
