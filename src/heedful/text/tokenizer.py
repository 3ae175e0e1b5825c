"""From text to token ids and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import repeat
from pathlib import Path
from random import Random
from typing import Any

import tokenizers as hf

from heedful.errors import CheckpointError, DataError, RequestError
from heedful.text.encoding import Encoding, is_unicode
from heedful.text.regularisation import SubwordSampler
from heedful.text.settings import TokenizerSettings
from heedful.text.training import ROLES, train_backend

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"


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
    """A trained tokenizer and its special tokens.

    A text becomes ``<s> … </s>``, a pair ``<s> … </s> … </s>``. What looks like a special token inside a text is
    read as text: nobody who writes a text can put a special token into it.
    """

    def __init__(self, backend: hf.Tokenizer, roles: Mapping[str, str]) -> None:
        """
        Args:
            backend: a tokenizer of the ``tokenizers`` library.
            roles: role, a field of :class:`SpecialTokens`, to special token.
        """
        backend.encode_special_tokens = True
        self._backend = backend
        self.special = SpecialTokens(**{role: backend.token_to_id(token) for role, token in roles.items()})

    @classmethod
    def train(cls, texts: Iterable[str], settings: TokenizerSettings) -> Tokenizer:
        """Train a tokenizer; the same texts and settings give the same one, byte for byte.

        Distinct words are held in memory.
        """
        return cls(train_backend(texts, settings), ROLES)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Load a ``tokenizer.json`` or the folder of one; ``tokenizer_config.json`` beside it says the roles.

        Raises:
            CheckpointError: a file is missing, or is not what its name says.
        """
        file = Path(path) / TOKENIZER_FILE if Path(path).is_dir() else Path(path)
        if not file.is_file():
            raise CheckpointError(
                f"there is no tokenizer at {file}", remedy=f"Give a {TOKENIZER_FILE}, or the folder of one."
            )
        try:
            backend = hf.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing more special
            raise CheckpointError(
                f"{file} is not a tokenizer of the tokenizers library: {error}",
                remedy="Save the tokenizer again, or take an intact copy of the file.",
            ) from error
        return cls(backend, _read_roles(file.with_name(CONFIG_FILE)))

    def save(self, folder: str | Path) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json`` into a folder that exists."""
        folder = Path(folder)
        roles = {role: token_id for role, token_id in asdict(self.special).items() if token_id is not None}
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,
            **{f"{role}_token": self._backend.id_to_token(token_id) for role, token_id in roles.items()},
        }
        (folder / TOKENIZER_FILE).write_text(self._backend.to_str(pretty=True), encoding="utf-8")
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @property
    def vocabulary_size(self) -> int:
        """V, number of tokens, special ones included."""
        return int(self._backend.get_vocab_size())

    def encode_batch(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        dropout: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> list[Encoding]:
        """Tokenize texts, or pairs of a text and the one beside it in ``pairs``.

        Args:
            dropout: subword regularisation for training, see :mod:`heedful.text.regularisation`: the probability
                that a longer piece is not used where it could be.
            seeds: one a text, for what is dropped; the same seed gives the same tokens. 0, 1, … if not given.

        Raises:
            DataError: a text is no valid Unicode.
            UnsupportedError: ``dropout`` is above 0 and the tokenizer has one way only to write a text.
        """
        if not 0 <= dropout < 1:
            raise RequestError(f"a dropout of {dropout} is no probability below 1")
        if not all(is_unicode(text) for text in (*texts, *(pairs or ()))):
            raise DataError(
                "a text holds half of a surrogate pair, which is no character",
                remedy="Decode the text properly, or take such characters out.",
            )
        if dropout:
            rows = zip(texts, pairs or repeat(None, len(texts)), seeds or range(len(texts)), strict=True)
            encodings = [self._sampler.encode(text, pair, dropout, Random(seed)) for text, pair, seed in rows]
        else:
            encodings = self._backend.encode_batch(list(texts if pairs is None else zip(texts, pairs, strict=True)))
        return [Encoding.of(encoding) for encoding in encodings]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of ``ids``, without special tokens, the unknown one among them, unless told otherwise."""
        return str(self._backend.decode(list(ids), skip_special_tokens=skip_special))

    @cached_property
    def _sampler(self) -> SubwordSampler:
        return SubwordSampler(self._backend)


def _read_roles(file: Path) -> dict[str, str]:
    """The special tokens that a ``tokenizer_config.json`` names, by role; none where there is no such file."""
    if not file.is_file():
        return {}
    try:
        config: Any = json.loads(file.read_text(encoding="utf-8"))
        named = {field.name: config.get(f"{field.name}_token") for field in fields(SpecialTokens)}
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"{file} is not a JSON object: {error}") from error
    tokens = {role: token["content"] if isinstance(token, dict) else token for role, token in named.items()}
    return {role: token for role, token in tokens.items() if token}
