"""From text to text: what translation and summarization share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heedful.checkpoint import save_folder
from heedful.data import Columns, Example, ExampleReader, ExampleStore, LabelKind, OnBadRow, read_examples
from heedful.errors import DataError, RequestError
from heedful.generation import CompiledWriter
from heedful.inference import Compile
from heedful.metrics import TextStatistics, bootstrap
from heedful.model import Transformer
from heedful.nn import Copies
from heedful.settings import parse
from heedful.tasks.base import Assessment, Tally, Task
from heedful.tasks.refusals import naming
from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.answering import Answering
from heedful.tasks.text_to_text.architectures import Architecture, architecture_of
from heedful.tasks.text_to_text.batch import TextToTextBatch
from heedful.tasks.text_to_text.card import model_card
from heedful.tasks.text_to_text.languages import check_languages, with_languages
from heedful.tasks.text_to_text.losses import smoothed_cross_entropy
from heedful.tasks.text_to_text.options import AnswerOptions
from heedful.tasks.text_to_text.prompts import prompt_of
from heedful.tasks.text_to_text.search import search_settings
from heedful.tasks.text_to_text.settings import ObjectiveSettings, PromptSettings, TextToTextCard
from heedful.tasks.text_to_text.shortlist import shortlist_of
from heedful.tasks.text_to_text.streaming import stream_text
from heedful.tasks.text_to_text.writing import Passage, write_passages
from heedful.tasks.token_dropout import hide_tokens
from heedful.text import Encoding, LongInput, Side, Tokenizer, fit

STREAM_CHUNK = 256
"""Texts that a stream looks ahead, to write those of like length side by side."""
SHORTLIST_NOTE = "a shortlist"
TARGET_SEED = 1 << 31
"""Sets what is random in cutting a target apart from what is in cutting its source."""


class TextToText(Task[TextToTextBatch]):
    """A Transformer that reads a text and writes another one, and the tokenizers of both."""

    keeps_markup: ClassVar[bool]
    """Whether tags and placeholders of a text belong into its answer."""
    keeps_numbers: ClassVar[bool]
    """Whether an answer has all numbers of its text."""
    engine: CompiledWriter | None = None
    shortlist: frozenset[int] | None = None
    """The tokens that are written, see :meth:`set_shortlist`; all unless it is set."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer,
        card: TextToTextCard,
        *,
        target_tokenizer: Tokenizer | None = None,
    ) -> None:
        """``target_tokenizer`` is of what is written, where it is another than that of what is read."""
        self.model = model
        self.network = nn.ModuleDict({"model": model})
        self.tokenizer = tokenizer
        self.target_tokenizer = target_tokenizer or tokenizer
        self.card = card
        self.objective = ObjectiveSettings()
        self.validation_texts = 500

    @property
    def description(self) -> str:
        """The job."""
        return self.job

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.token_embedding.weight.device

    @property
    def architecture(self) -> Architecture:
        """How texts go through the model."""
        return architecture_of(self.model, self.tokenizer, self.card)

    def set_languages(self, *, source: str | None = None, target: str | None = None) -> None:
        """Choose the languages of a model that knows several, such as ``deu_Latn`` of NLLB or ``de`` of T5.

        Args:
            source: of the texts; the model's usual one if not given.
            target: of what is written.

        Raises:
            RequestError: the model does not know them.
        """
        self.card = with_languages(self.card, self.tokenizer, source=source, target=target)

    def set_prompt(self, prompt: str | Mapping[str, Any]) -> None:
        """Choose what a model without encoder reads around each text.

        Args:
            prompt: a text with ``{text}`` in it, ``"chat"`` for the text as what a user says, or ``template`` and
                ``chat`` as in ``task.prompt`` of a recipe.

        Raises:
            RequestError: it has no place for the text, or the model has an encoder or no chat template.
        """
        given = parse(PromptSettings, prompt, name="the prompt", error=RequestError)
        self.card = self.card.model_copy(update={"prompt": prompt_of(self.job, self.model, self.tokenizer, given)})

    def set_shortlist(self, texts: Iterable[str] | None) -> None:
        """Write with the tokens of some texts only: where the vocabulary is large, that is faster.

        Answers may differ from those of the whole vocabulary. Special tokens and those of one character can be written
        in any case. It is not saved.

        Args:
            texts: in the language that is written, as many as can be had, terms of glossaries among them; None for the
                whole vocabulary.

        Raises:
            RequestError: there are none.
        """
        self.notes = tuple(note for note in self.notes if not note.startswith(SHORTLIST_NOTE))
        self.shortlist = None if texts is None else shortlist_of(self.target_tokenizer, texts, self.card.generation)
        if self.shortlist is not None:
            counts = f"{len(self.shortlist):,} of {self.model.spec.written_size:,} tokens"
            self.notes += (f"{SHORTLIST_NOTE} of {counts} is written with: answers may differ",)
            if self.engine is not None:
                self.engine = self.engine.without_logits()
        self.model.set_shortlist(self.shortlist)

    # Answers

    def predict(self, texts: Sequence[str], options: AnswerOptions | None = None) -> list[TextAnswer]:
        """Write an answer to each text.

        Raises:
            DataError: a text is empty.
            RequestError: the options ask for what the model cannot do, or for more memory than there is.
        """
        if isinstance(texts, str):
            raise RequestError("predict takes a list of texts, not a single one", remedy="Write predict([text]).")
        return [answer for _, answer in self.predict_stream(_examples(texts), options)]

    def predict_stream(
        self,
        examples: Iterable[Example],
        options: AnswerOptions | None = None,
        *,
        look_ahead: int = STREAM_CHUNK,
        tally: Tally | None = None,
    ) -> Iterator[tuple[Example, TextAnswer]]:
        """Answer a stream in flat memory; answers come in the order of the examples."""
        answering, iterator = Answering(self, options or AnswerOptions()), iter(examples)
        while chunk := list(islice(iterator, look_ahead)):
            yield from zip(chunk, answering.answer(chunk, tally), strict=True)

    def stream(self, text: str, **changes: Any) -> Iterator[str]:
        """Write an answer greedily, or by chance, and give its pieces as they come.

        Args:
            changes: of the card's generation settings.

        Raises:
            DataError: the text is empty.
            RequestError: a change is impossible.
        """
        settings = search_settings(self, **{"num_beams": 1, "num_return_sequences": 1} | changes)
        ((source, _),) = self.encode_sources(_examples([text]))
        if self.network.training:
            self.network.eval()
        request = self.architecture.request(0, source, settings)
        yield from stream_text(self.model, request, self.target_tokenizer, self.engine)

    def write(
        self, examples: Sequence[Example], *, examined: bool = False, tally: Tally | None = None, **changes: Any
    ) -> list[TextAnswer]:
        """Answer examples as they are, each as a whole; a blank line by an empty text.

        Args:
            examined: whether to find out how far each answer can be trusted.
            changes: of the card's generation settings, for these texts.

        Raises:
            RequestError: one of them is impossible.
        """
        passages, settings = [Passage(example) for example in examples], search_settings(self, **changes)
        return write_passages(self, passages, settings, examined=examined, tally=tally)

    def compiled(self, make: Compile) -> CompiledWriter:
        """The encoder, and the decoder's step for few texts."""
        return CompiledWriter(self.model, make)

    def encode_sources(self, examples: Sequence[Example], *, seed: int | None = None) -> list[tuple[Encoding, int]]:
        """Sources as the network sees them, and how many tokens were cut from each."""
        texts = [example.text for example in examples]
        languages = [example.target_language for example in examples]
        encodings = self.architecture.encode(texts, languages=languages, **self._cuts(examples, seed, 0))
        fitted = []
        for example, encoding in zip(examples, encodings, strict=True):
            with naming(example.place):
                parts = fit(encoding, self.card.max_length, LongInput.TRUNCATE)
            fitted.append((parts.windows[0], parts.cut_tokens))
        return fitted

    def encode_targets(self, examples: Sequence[Example], *, seed: int | None = None) -> list[list[int]]:
        """Token ids of each target: the first one that the model is forced to, if it is, the text, the end token."""
        texts = [example.target or "" for example in examples]
        encodings = self.target_tokenizer.encode_batch(texts, **self._cuts(examples, seed, TARGET_SEED))
        forced = self.card.generation.forced_bos_token_id
        first = [] if forced is None else [forced]
        keep = self.card.max_target_length - len(first) - 1
        return [
            [*first, *[token for token, special in zip(e.ids, e.special, strict=True) if not special][:keep], self._end]
            for e in encodings
        ]

    def _cuts(self, examples: Sequence[Example], seed: int | None, salt: int) -> dict[str, Any]:
        """What tells a tokenizer to cut words at random; nothing where it is not to."""
        if seed is None or not self.lengths_vary:
            return {}
        seeds = [(seed << 32) + salt + example.row for example in examples]
        return {"dropout": self.objective.subword_dropout, "seeds": seeds}

    @property
    def _end(self) -> int:
        end: int = self.card.generation.eos_token_id[0]
        return end

    # Learning

    def check(self, store: ExampleStore, *, name: str) -> None:
        """Refuse data without targets."""
        with naming(name):
            if not len(store):
                raise DataError("there is no example to learn from or to judge by")
            for example in islice(store, 1):
                if example.target is None:
                    raise DataError("the examples have no target", remedy="Name its column: data.columns.target.")
            check_languages(self.tokenizer, store.languages())

    @property
    def lengths_vary(self) -> bool:
        """Whether each training epoch cuts words in ways of its own."""
        return self.objective.subword_dropout > 0

    def lengths(self, store: ExampleStore, *, seed: int | None = None) -> NDArray[np.int32]:
        """Tokens of source and target, int32 (N, 2), or of both together, (N, 1), where they are one sequence."""
        sizes: list[tuple[int, ...]] = []
        parts = self.architecture.padded_apart
        for chunk in store.chunks(STREAM_CHUNK):
            sources, targets = self.encode_sources(chunk, seed=seed), self.encode_targets(chunk, seed=seed)
            pairs = zip(sources, targets, strict=True)
            sizes += [parts(len(source.ids), len(target)) for (source, _), target in pairs]
        return np.array(sizes, dtype=np.int32)

    def collate(self, examples: Sequence[Example], *, seed: int | None = None) -> TextToTextBatch:
        """Make pairs into a batch."""
        sources = [source for source, _ in self.encode_sources(examples, seed=seed)]
        return self.architecture.batch(sources, self.encode_targets(examples, seed=seed))

    def loss(self, batch: TextToTextBatch) -> Tensor:
        """Sum over target tokens of the cross-entropy."""
        hidden, copies = self.architecture.hidden(batch, self._partly_hidden(batch))
        return smoothed_cross_entropy(
            hidden.flatten(0, 1),
            batch.targets.flatten(),
            lambda states, *copied: self.model.logits(states, Copies(*copied) if copied else None),
            *(part.flatten(0, 1) for part in copies or ()),
            parameters=self.model.parameters(),
            vocabulary_size=self.model.spec.written_size,
            smoothing=self.objective.label_smoothing,
        )

    def _partly_hidden(self, batch: TextToTextBatch) -> Tensor:
        """The ids of a batch; in training a share of them is hidden."""
        rate = self.objective.token_dropout if self.network.training else 0.0
        return hide_tokens(batch.ids, batch.hideable, rate, self.tokenizer.special.mask)

    # Judging

    def read(
        self, source: str | Path, *, columns: Columns | None = None, on_bad_row: OnBadRow = OnBadRow.ERROR
    ) -> ExampleReader:
        """Pairs of a source."""
        return read_examples(source, columns or self.card.columns, label_kind=LabelKind.TEXT, on_bad_row=on_bad_row)

    def assess(self, store: ExampleStore, *, resamples: int = 1000, tally: Tally | None = None) -> Assessment:
        """Write an answer to every source and compare it with the target."""
        return self._judge(store, len(store), resamples, tally)

    def validate(self, store: ExampleStore) -> Assessment:
        """Write answers to the first ``validation_texts`` sources, greedily."""
        return self._judge(store, self.validation_texts, 0, None, num_beams=1, num_return_sequences=1)

    def _judge(
        self, store: ExampleStore, count: int, resamples: int, tally: Tally | None, **changes: Any
    ) -> Assessment:
        examples = store.take(range(min(count, len(store))))
        if tally is not None:
            tally.total = len(examples)
        answers = self.write(examples, tally=tally, **changes)
        targets = [example.target or "" for example in examples]
        statistics = self.compare([answer.text for answer in answers], targets)
        return Assessment(
            metrics=bootstrap(self.metrics.values(), statistics, resamples=resamples),
            num_examples=len(examples),
            notes=(*_notes(answers, self.card), *statistics.notes),
            statistics=statistics,
        )

    @abstractmethod
    def compare(self, answers: Sequence[str], targets: Sequence[str]) -> TextStatistics[Any]:
        """What the metrics of the job need to know of answers and what each should be."""

    # Keeping

    def save(self, folder: str | Path) -> None:
        """Write a model folder; see :func:`heedful.checkpoint.save_folder`."""
        save_folder(
            Path(folder),
            config=self.config,
            network=self.network,
            tokenizers=self._tokenizers,
            card=self.card.model_dump_json(indent=2),
            readme=model_card(self.card, self.model, Path(folder).name),
        )

    @property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says of the model."""
        config: dict[str, Any] = {"spec": self.model.spec.model_dump(mode="json")}
        if self.origin is not None:
            config["origin"] = self.origin
        return config

    @property
    def _tokenizers(self) -> dict[Side, Tokenizer]:
        sides = {Side.SOURCE: self.tokenizer, Side.TARGET: self.target_tokenizer}
        return sides if self.target_tokenizer is not self.tokenizer else {Side.SOURCE: self.tokenizer}


def _examples(texts: Sequence[str]) -> list[Example]:
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise RequestError(f"text {number} is {type(text).__name__} {text!r:.60}, and no string")
        if not text.strip():
            raise DataError(f"text {number} is empty", remedy="Leave empty texts out.")
    return [Example(text, None, (), number) for number, text in enumerate(texts, 1)]


def _notes(answers: Sequence[TextAnswer], card: TextToTextCard) -> tuple[str, ...]:
    cut = sum(answer.cut_tokens > 0 for answer in answers)
    unfinished = sum(not answer.is_complete for answer in answers)
    notes = [f"{cut:,} texts were cut to {card.max_length} tokens"] if cut else []
    if unfinished:
        notes.append(f"{unfinished:,} answers were ended at {card.generation.max_new_tokens} tokens")
    return tuple(notes)
