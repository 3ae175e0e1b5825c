"""From text to token ids and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tokenizers as hf

from heedful.errors import CheckpointError
from heedful.text.encoding import Encoding
from heedful.text.settings import TokenizerSettings
from heedful.text.training import END, MASK, PAD, START, UNK, train_backend

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


_ROLE_TOKENS = {"pad": PAD, "unk": UNK, "bos": START, "eos": END, "cls": START, "sep": END, "mask": MASK}


class Tokenizer:
    """A trained tokenizer with its special tokens by role."""

    def __init__(self, backend: hf.Tokenizer, special: SpecialTokens) -> None:
        backend.encode_special_tokens = True
        self._backend = backend
        self.special = special

    @classmethod
    def train(cls, texts: Iterable[str], settings: TokenizerSettings) -> Tokenizer:
        """Train on ``texts``."""
        backend = train_backend(texts, settings)
        return cls(backend, _special_ids(backend, _ROLE_TOKENS))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Load from a model folder or a ``tokenizer.json``."""
        file = Path(path)
        if file.is_dir():
            file = file / TOKENIZER_FILE
        try:
            backend = hf.Tokenizer.from_str(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"there is no {file}", remedy="Give a folder with a tokenizer.json."
            ) from None
        config = json.loads((file.parent / CONFIG_FILE).read_text(encoding="utf-8"))
        roles = {field.name: config.get(f"{field.name}_token") for field in fields(SpecialTokens)}
        return cls(backend, _special_ids(backend, roles))

    def save(self, folder: str | Path) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json`` into ``folder``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER_FILE).write_text(self._backend.to_str(pretty=True), encoding="utf-8")
        roles: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        for field in fields(SpecialTokens):
            token_id = getattr(self.special, field.name)
            if token_id is not None:
                roles[f"{field.name}_token"] = self._backend.id_to_token(token_id)
        (folder / CONFIG_FILE).write_text(json.dumps(roles, indent=2) + "\n", encoding="utf-8")

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, special tokens included."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    def encode_batch(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, dropout: float = 0.0, seed: int = 0
    ) -> list[Encoding]:
        """Tokenize each text, or each text with the one beside it in ``pairs``."""
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        return [Encoding.of(encoding) for encoding in self._backend.encode_batch(inputs)]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of ``ids``."""
        return str(self._backend.decode(list(ids), skip_special_tokens=skip_special))


def _special_ids(backend: hf.Tokenizer, roles: dict[str, Any]) -> SpecialTokens:
    return SpecialTokens(**{role: backend.token_to_id(token) for role, token in roles.items() if token})
