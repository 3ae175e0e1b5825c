"""What reads the text: an encoder, or the decoder itself. The rest of the task does not know which."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from heedful.generation import GenerationSettings, Request
from heedful.model import Transformer
from heedful.nn import Copies
from heedful.tasks.text_to_text.batch import IGNORED, TextToTextBatch, make_batch
from heedful.tasks.text_to_text.languages import encode_marked, read_languages
from heedful.tasks.text_to_text.settings import TEXT_PLACE, PromptSettings, TextToTextCard
from heedful.text import Encoding, Tokenizer


@dataclass(frozen=True)
class Architecture(ABC):
    """How a text and its answer go through a model."""

    model: Transformer
    tokenizer: Tokenizer
    """Of what is read."""
    card: TextToTextCard

    @abstractmethod
    def encode(
        self, texts: Sequence[str], *, languages: Sequence[str | None] | None = None, **cuts: Any
    ) -> list[Encoding]:
        """What is read of each text, not yet fitted: tokens that do not come from it are special.

        Args:
            languages: into which to translate each text, where that is said of it.
            cuts: what a tokenizer is told of subword regularisation.
        """

    @property
    @abstractmethod
    def text_start(self) -> int:
        """The character of what is read that a text begins at."""

    @abstractmethod
    def num_positions(self, source_length: int, target_length: int) -> int:
        """Positions that the model needs for texts of these lengths."""

    @abstractmethod
    def padded_apart(self, source_length: int, target_length: int) -> tuple[int, ...]:
        """Tokens of a pair in each tensor of a batch."""

    @abstractmethod
    def batch(self, sources: Sequence[Encoding], targets: Sequence[Sequence[int]]) -> TextToTextBatch:
        """Pairs as tensors; each target ends with the end token."""

    @abstractmethod
    def hidden(self, batch: TextToTextBatch, ids: Tensor) -> tuple[Tensor, Copies | None]:
        """The states (B, T, D) that the batch's targets are written from, and what they may copy.

        Args:
            ids: those of the batch, where some tokens may be hidden.
        """

    @abstractmethod
    def request(self, key: int, source: Encoding, settings: GenerationSettings) -> Request[int]:
        """A text to be written."""


class EncoderDecoder(Architecture):
    """An encoder reads the text, and a decoder looks at it (Vaswani et al. 2017)."""

    def encode(
        self, texts: Sequence[str], *, languages: Sequence[str | None] | None = None, **cuts: Any
    ) -> list[Encoding]:
        """The text behind the family's prefix, with the mark of its language, or of that of its translation."""
        marks = read_languages(self.card, self.tokenizer, languages or [None] * len(texts))
        return encode_marked(self.tokenizer, [self.card.prefix + text for text in texts], marks, **cuts)

    @property
    def text_start(self) -> int:
        """Behind the prefix."""
        return len(self.card.prefix)

    def num_positions(self, source_length: int, target_length: int) -> int:
        """Those of the longer side."""
        return max(source_length, target_length)

    def padded_apart(self, source_length: int, target_length: int) -> tuple[int, ...]:
        """One tensor for the encoder, one for the decoder."""
        return source_length, target_length

    def batch(self, sources: Sequence[Encoding], targets: Sequence[Sequence[int]]) -> TextToTextBatch:
        """Sources, and targets behind the start token."""
        start = self.card.generation.decoder_start_token_id
        assert start is not None
        return make_batch(
            [source.ids for source in sources],
            [[not special for special in source.special] for source in sources],
            [[start, *target[:-1]] for target in targets],
            targets,
            pad=self.tokenizer.special.pad or 0,
            device=self.model.token_embedding.weight.device,
        )

    def hidden(self, batch: TextToTextBatch, ids: Tensor) -> tuple[Tensor, Copies | None]:
        """Of the decoder; what is hidden from the encoder may be copied all the same."""
        memory = self.model.encode(ids, batch.mask)
        hidden = self.model.decode(batch.decoder_ids, memory, batch.mask)
        return hidden, self.model.copies(hidden, self.model.copy_source(batch.ids, memory, batch.mask))

    def request(self, key: int, source: Encoding, settings: GenerationSettings) -> Request[int]:
        """The decoder begins with its start token."""
        assert settings.decoder_start_token_id is not None
        return Request(key, tuple(source.ids), (settings.decoder_start_token_id,), settings)


class DecoderOnly(Architecture):
    """A language model reads the text inside a prompt, and goes on with the answer (Radford et al. 2019)."""

    def encode(
        self,
        texts: Sequence[str],
        *,
        languages: Sequence[str | None] | None = None,  # noqa: ARG002 - refused before, see check_languages
        **cuts: Any,
    ) -> list[Encoding]:
        """The text inside the prompt; a conversation is cut into tokens in the usual way only."""
        prompt = self._prompt
        filled = [prompt.template.replace(TEXT_PLACE, text) for text in texts]
        if prompt.chat:
            encodings = [self.tokenizer.encode_chat(_said(content)) for content in filled]
        else:
            encodings = [_unended(encoding) for encoding in self.tokenizer.encode_batch(filled, **cuts)]
        before, _, after = self._frame.partition(TEXT_PLACE)
        return [_marked(encoding, len(before), len(after)) for encoding in encodings]

    @property
    def text_start(self) -> int:
        """Where the prompt has the text."""
        return self._frame.index(TEXT_PLACE)

    @property
    def _prompt(self) -> PromptSettings:
        assert self.card.prompt is not None
        return self.card.prompt

    @property
    def _frame(self) -> str:
        """All that is read, with the place of the text in it."""
        template = self._prompt.template
        return self.tokenizer.render_chat(_said(template)) if self._prompt.chat else template

    def num_positions(self, source_length: int, target_length: int) -> int:
        """Those of both sides."""
        return source_length + target_length

    def padded_apart(self, source_length: int, target_length: int) -> tuple[int, ...]:
        """One tensor for both."""
        return (source_length + target_length,)

    def batch(self, sources: Sequence[Encoding], targets: Sequence[Sequence[int]]) -> TextToTextBatch:
        """Prompts with their answers behind them; nothing is learnt from the prompts."""
        return make_batch(
            [[*source.ids, *target] for source, target in zip(sources, targets, strict=True)],
            [[not special for special in source.special] for source in sources],
            [[] for _ in sources],
            [
                [*[IGNORED] * (len(source) - 1), *target, IGNORED]
                for source, target in zip(sources, targets, strict=True)
            ],
            pad=self.tokenizer.special.pad or 0,
            device=self.model.token_embedding.weight.device,
        )

    def hidden(self, batch: TextToTextBatch, ids: Tensor) -> tuple[Tensor, None]:  # noqa: ARG002 - as for every architecture
        """Of all tokens; padding comes last, and is not seen by what comes before."""
        return self.model.decode(ids), None

    def request(self, key: int, source: Encoding, settings: GenerationSettings) -> Request[int]:
        """The decoder begins with the prompt."""
        return Request(key, (), tuple(source.ids), settings)


def architecture_of(model: Transformer, tokenizer: Tokenizer, card: TextToTextCard) -> Architecture:
    """How texts go through ``model``."""
    return (DecoderOnly if model.encoder is None else EncoderDecoder)(model, tokenizer, card)


def _said(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def _unended(encoding: Encoding) -> Encoding:
    """Without the special tokens that stand behind a text: it goes on."""
    last = max((position for position, special in enumerate(encoding.special) if not special), default=-1)
    return encoding.select(range(last + 1))


def _marked(encoding: Encoding, before: int, after: int) -> Encoding:
    """A prompt in which all is special but what comes from the text alone, so that nothing else is ever cut off.

    Args:
        before: characters of the prompt before the text.
        after: characters behind it.
    """
    end = max((stop for _, stop in encoding.offsets), default=0) - after
    texts = [
        None if text is None or start < before or stop > end else text
        for text, (start, stop) in zip(encoding.texts, encoding.offsets, strict=True)
    ]
    return Encoding(encoding.ids, encoding.token_types, encoding.offsets, texts)
