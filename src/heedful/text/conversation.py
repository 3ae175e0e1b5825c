"""Conversations as tokens: the template's special tokens are special, and what people say in them is text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tokenizers as hf

from heedful.text.chat import ChatTemplate
from heedful.text.encoding import Encoding

_MARK = "\ufdd0"
"""A code point that Unicode keeps free for such use: it stands inside look-alikes until they cannot be mistaken."""


class ConversationEncoder:
    """Renders messages with a chat template, and tokenizes what comes out."""

    def __init__(self, backend: hf.Tokenizer, template: str, special_tokens: Mapping[str, str]) -> None:
        """
        Args:
            special_tokens: by role; templates know them as ``bos_token`` and the like.
        """
        self._template = ChatTemplate(template)
        self._variables = {f"{role}_token": token for role, token in special_tokens.items()}
        data = json.loads(backend.to_str())
        special = [token for token in data["added_tokens"] if token["special"]]
        for token in special:
            token["normalized"] = False  # found before the marks are taken out
        steps = [{"type": "Replace", "pattern": {"String": _MARK}, "content": ""}, data["normalizer"]]
        data["normalizer"] = {"type": "Sequence", "normalizers": [step for step in steps if step is not None]}
        self._backend = hf.Tokenizer.from_str(json.dumps(data))
        self._special = {token["id"] for token in special}
        contents = "|".join(re.escape(token["content"]) for token in special if len(token["content"]) > 1)
        self._lookalikes = re.compile(f"(?={contents})(.)" if contents else r"(?!)", re.DOTALL)

    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool) -> str:
        """The conversation as one text, its messages as they are."""
        return self._template.render(messages, {**self._variables, "add_generation_prompt": add_generation_prompt})

    def encode(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool) -> Encoding:
        """The conversation as tokens; offsets count in what :meth:`render` gives, less special look-alikes."""
        text = self.render(self._marked(messages), add_generation_prompt=add_generation_prompt)
        encoding = self._backend.encode(text, add_special_tokens=False)
        texts: list[int | None] = [None if token in self._special else 0 for token in encoding.ids]
        return Encoding(encoding.ids, encoding.type_ids, encoding.offsets, texts)

    def _marked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._lookalikes.sub(rf"\1{_MARK}", value.replace(_MARK, ""))
        if isinstance(value, Mapping):
            return {key: self._marked(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._marked(inner) for inner in value]
        return value
