"""Text classification: one label, several labels, or a pair of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heedful.checkpoint import save_folder
from heedful.data import (
    Columns,
    Example,
    ExampleReader,
    ExampleStore,
    LabelKind,
    OnBadRow,
    read_examples,
)
from heedful.errors import DataError, RequestError
from heedful.inference import Compile, CompiledNetwork, Workers, batches_of
from heedful.metrics import ClassificationTally, Metric
from heedful.model import ClassificationHead, Transformer
from heedful.tasks.base import Assessment, Tally, Task
from heedful.tasks.classification.answers import Classification, Scored, answers_of, example_of, no_answer
from heedful.tasks.classification.batch import ClassificationBatch, stack_windows
from heedful.tasks.classification.card import model_card
from heedful.tasks.classification.judging import best_temperature, judge, metrics_of
from heedful.tasks.classification.losses import IGNORED, mixed_cross_entropy
from heedful.tasks.classification.network import ClassificationNetwork
from heedful.tasks.classification.reading import targets_of, windows_of
from heedful.tasks.classification.settings import ClassifierCard, ObjectiveSettings
from heedful.tasks.own_module import ModuleSpec, TextEncoder
from heedful.tasks.refusals import naming
from heedful.tasks.token_dropout import hide_tokens
from heedful.text import FittedText, Side, Tokenizer

PREDICTION_TOKENS = 1024
"""Token budget of a batch where nothing is differentiated."""
STREAM_CHUNK = 4096
"""Texts that a stream looks ahead to sort them by length."""
COMPARED = ((2, 9), (1, 2), (3, 40), (1, 160))
"""Rows and tokens of what a compiled network is compared by; the first is what a tracer sees."""


class TextClassifier(Task[ClassificationBatch]):
    """A model that reads texts, with a classification head, its tokenizer and its labels."""

    job: ClassVar[str] = "classification"
    network: ClassificationNetwork
    engine: CompiledNetwork | None = None

    def __init__(
        self,
        model: TextEncoder,
        head: ClassificationHead,
        tokenizer: Tokenizer,
        card: ClassifierCard,
        objective: ObjectiveSettings | None = None,
        *,
        module: ModuleSpec | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            model: a Transformer, or an ``nn.Module`` of the user's own.
            module: how the user's own is made again.
            origin: the family and config of the foreign checkpoint that this began as.
        """
        self.model = model
        self.head = head
        self.network = ClassificationNetwork(model, head, decoder_start=card.decoder_start)
        self.tokenizer = tokenizer
        self.card: ClassifierCard = card
        self.objective = objective or ObjectiveSettings()
        self.class_weights: Tensor | None = None
        self.module = module
        self.origin = origin

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of the logits."""
        return self.card.labels

    @property
    def description(self) -> str:
        """How many labels there are."""
        return f"{len(self.labels)} labels"

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several labels."""
        return self.card.label_kind is LabelKind.MULTI

    @property
    def metrics(self) -> dict[str, Metric[ClassificationTally]]:
        return metrics_of(self.card.label_kind)

    @property
    def main_metric(self) -> str:
        return "micro_f1" if self.multi_label else "accuracy"

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    # Answers

    def predict(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> list[Classification]:
        """Classify texts, or pairs of texts.

        Raises:
            DataError: a text is empty.
            InputTooLongError: a text is longer than the model takes and ``long_input`` is ``error``.
            RequestError: these are not texts, or not pairs where the classifier reads pairs.
        """
        if isinstance(texts, str):
            raise RequestError("predict takes a list of texts, not a single one", remedy="Write predict([text]).")
        return self.classify([example_of(entry, number) for number, entry in enumerate(texts, 1)])

    def predict_stream(
        self, examples: Iterable[Example], *, look_ahead: int = STREAM_CHUNK, tally: Tally | None = None
    ) -> Iterator[tuple[Example, Classification]]:
        """Classify a stream in flat memory; answers come in the order of the examples.

        Args:
            look_ahead: texts that are read before the first of them is answered: more save padding, fewer time.
        """
        iterator = iter(examples)
        while chunk := list(islice(iterator, look_ahead)):
            yield from zip(chunk, self.classify(chunk, tally=tally), strict=True)

    def classify(self, examples: Sequence[Example], *, tally: Tally | None = None) -> list[Classification]:
        """Classify examples; labels they carry are not looked at. An empty text gets an empty answer."""
        answers = iter(answers_of(self.score([one for one in examples if one.text], tally=tally), self.card))
        return [next(answers) if example.text else no_answer() for example in examples]

    def score(self, examples: Sequence[Example], *, tally: Tally | None = None) -> Scored:
        """Logits of examples; those of a text's windows are averaged."""
        texts = self._windows(examples)
        windows = [window for fitted in texts for window in fitted.windows]
        owner = np.repeat(np.arange(len(texts)), [len(fitted.windows) for fitted in texts])
        totals = np.zeros((len(texts), len(self.labels)))
        is_first = np.diff(owner, prepend=-1) > 0
        lengths = np.array([len(window.ids) for window in windows], dtype=np.int32)
        if self.network.training:
            self.network.eval()  # goes through all modules: for one text that would take longer than many a layer
        batches = batches_of(lengths, PREDICTION_TOKENS)
        # A module of the user's own may not bear two threads, and an accelerator takes one batch after the other.
        apart = self.device.type == "cpu" and isinstance(self.model, Transformer)
        apart = apart and (self.engine is None or self.engine.side_by_side)
        workers = self.workers if apart else Workers(count=1)
        network = self.network if self.engine is None else self.engine.network(workers.plan(len(batches)))

        @torch.inference_mode()
        def compute(rows: NDArray[np.int64]) -> NDArray[np.float64]:
            stacked = stack_windows([[windows[row]] for row in rows], self._pad_id, self.device)
            ids, mask, token_types, _, _ = stacked
            logits: Tensor = network(ids, mask, token_types)
            return logits.double().cpu().numpy()

        for rows, logits in zip(batches, workers.map(compute, batches), strict=True):
            np.add.at(totals, owner[rows], logits)
            if tally is not None:
                cells = int(lengths[rows].max()) * len(rows)
                tally.add(texts=int(is_first[rows].sum()), tokens=int(lengths[rows].sum()), cells=cells)
        counts = np.bincount(owner, minlength=len(texts))
        return Scored(
            logits=totals / np.maximum(counts, 1)[:, None],
            cut_tokens=np.array([fitted.cut_tokens for fitted in texts], dtype=np.int64),
            windows=counts,
        )

    def compiled(self, make: Compile) -> CompiledNetwork:
        """The whole network."""
        return make(self.network, self.example_inputs())

    def example_inputs(self) -> list[tuple[Tensor, ...]]:
        """What the network takes, at several shapes, no longer than texts may be: see :func:`_inputs`."""
        size, knows_types = self.tokenizer.vocabulary_size, self.network.knows_token_types
        limit = self.card.max_length
        return [_inputs(rows, min(tokens, limit), size, knows_types=knows_types) for rows, tokens in COMPARED]

    def _windows(self, examples: Sequence[Example], *, seed: int | None = None) -> list[FittedText]:
        """Texts as the network sees them; in a training epoch, which has a seed, words are cut in ways of its own."""
        return windows_of(
            examples, self.tokenizer, self.card, seed=seed, subword_dropout=self.objective.subword_dropout
        )

    @property
    def _pad_id(self) -> int:
        return self.tokenizer.special.pad or 0

    # Learning

    def check(self, store: ExampleStore, *, name: str) -> None:
        """Refuse labels that are not known, texts that are too long, and data where all is out of scope."""
        in_scope = False
        with naming(name):
            for chunk in store.chunks(STREAM_CHUNK):
                self._windows(chunk)
                in_scope |= bool((self.targets(chunk) != IGNORED).any())
            if not in_scope:
                raise DataError("there is no example with a label to learn or to judge by")

    @property
    def lengths_vary(self) -> bool:
        """Whether each training epoch cuts words in ways of its own."""
        return self.objective.subword_dropout > 0

    def lengths(self, store: ExampleStore, *, seed: int | None = None) -> NDArray[np.int32]:
        """Tokens of each example as the network sees it, over all its windows, int32 (N,)."""
        sizes = [
            sum(len(window.ids) for window in fitted.windows)
            for chunk in store.chunks(STREAM_CHUNK)
            for fitted in self._windows(chunk, seed=seed)
        ]
        return np.array(sizes, dtype=np.int32)

    def collate(self, examples: Sequence[Example], *, seed: int | None = None) -> ClassificationBatch:
        """Make labelled examples into a batch.

        Args:
            seed: of a training epoch's subword regularisation; without one there is none.

        Raises:
            DataError: an example has a label that the classifier does not know.
        """
        texts = self._windows(examples, seed=seed)
        ids, mask, token_types, hideable, owner = stack_windows(
            [fitted.windows for fitted in texts], self._pad_id, self.device
        )
        targets = torch.from_numpy(self.targets(examples)).to(self.device)
        return ClassificationBatch(
            ids=ids,
            mask=mask,
            token_types=token_types,
            hideable=hideable,
            owner=owner,
            targets=targets,
            num_targets=self._weigh(targets),
            num_tokens=int(mask.sum()),
        )

    def loss(self, batch: ClassificationBatch) -> Tensor:
        """Sum over texts of the cross-entropy (of the mean binary one where there are several labels)."""
        return mixed_cross_entropy(
            self._batch_logits(batch),
            batch.targets,
            self.objective.mixup if self.network.training else 0.0,
            class_weights=self.class_weights,
            smoothing=self.objective.label_smoothing,
        )

    def _batch_logits(self, batch: ClassificationBatch) -> Tensor:
        """Logits (B, C) of a batch; those of a text's windows are averaged."""
        logits: Tensor = self.network(self._partly_hidden(batch), batch.mask, batch.token_types)
        if batch.owner is None:
            return logits
        sums = logits.new_zeros(len(batch.targets), logits.shape[-1]).index_add(0, batch.owner, logits)
        return sums / torch.bincount(batch.owner, minlength=len(sums))[:, None]

    def _weigh(self, targets: Tensor) -> float:
        if self.multi_label:
            return float(len(targets))
        kept = targets[targets != IGNORED]
        return float(len(kept) if self.class_weights is None else self.class_weights[kept].sum())

    def _partly_hidden(self, batch: ClassificationBatch) -> Tensor:
        """The ids of a batch; in training a share of them is hidden."""
        rate = self.objective.token_dropout if self.network.training else 0.0
        return hide_tokens(batch.ids, batch.hideable, rate, self.tokenizer.special.mask)

    def targets(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Label numbers (N,), ``IGNORED`` where out of scope; or (N, C) of 0 and 1 with several labels a text.

        Raises:
            DataError: an example has a label that the classifier does not know, or none.
        """
        return targets_of(examples, self.card)

    # Judging

    def read(
        self, source: str | Path, *, columns: Columns | None = None, on_bad_row: OnBadRow = OnBadRow.ERROR
    ) -> ExampleReader:
        """Labelled examples of a source, by the columns of the training data unless others are given."""
        return read_examples(
            str(source), columns or self.card.columns, label_kind=self.card.label_kind, on_bad_row=on_bad_row
        )

    def assess(self, store: ExampleStore, *, resamples: int = 1000, tally: Tally | None = None) -> Assessment:
        """Answer the labelled examples of ``store`` and compute the metrics.

        Texts whose label is out of scope enter none of them but ``out_of_scope_auroc``: how well a low score
        tells them from the others.
        """
        logits, targets, notes = self._score_store(store, tally or Tally())
        return judge(logits, targets, self.card, resamples=resamples, notes=notes)

    def calibrate(self, store: ExampleStore) -> float:
        """Fit the temperature on held-out examples and keep it on the card."""
        logits, targets, _ = self._score_store(store, Tally())
        temperature = best_temperature(logits, targets, self.card.label_kind)
        self.card = self.card.model_copy(update={"temperature": temperature})
        return self.card.temperature

    def _score_store(
        self, store: ExampleStore, tally: Tally
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
        """Logits (N, C) and targets of a store, and what the reader of a report must know."""
        parts, targets = [], []
        tally.total = len(store)
        if not tally.total:
            raise DataError("there is no example to evaluate", remedy="Give at least one labelled example.")
        for chunk in store.chunks(STREAM_CHUNK):
            targets.append(self.targets(chunk))
            parts.append(self.score(chunk, tally=tally))
        cut = sum(int((part.cut_tokens > 0).sum()) for part in parts)
        windowed = sum(int((part.windows > 1).sum()) for part in parts)
        notes = [f"padding {tally.padding_share:.1%} of what was computed"] if tally.cells else []
        if cut:
            notes.append(f"{cut:,} texts were cut to {self.card.max_length} tokens")
        if windowed:
            notes.append(f"{windowed:,} texts were read in windows of {self.card.max_length} tokens")
        return np.concatenate([part.logits for part in parts]), np.concatenate(targets), notes

    # Keeping

    def save(self, folder: str | Path, *, max_shard_bytes: int | None = None) -> None:
        """Write a model folder; see :func:`heedful.checkpoint.save_folder`."""
        save_folder(
            Path(folder),
            config=self.config,
            network=self.network,
            tokenizers={Side.SOURCE: self.tokenizer},
            card=self.card.model_dump_json(indent=2),
            readme=model_card(self.card, self.network.model, Path(folder).name),
            max_shard_bytes=max_shard_bytes,
        )

    @property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says of the model."""
        config: dict[str, Any] = {}
        if isinstance(self.model, Transformer):
            config["spec"] = self.model.spec.model_dump(mode="json")
        if self.module is not None:
            config["module"] = self.module.model_dump(mode="json")
        if self.origin is not None:
            config["origin"] = self.origin
        return config


def _inputs(rows: int, tokens: int, vocabulary_size: int, *, knows_types: bool) -> tuple[Tensor, ...]:
    """Random ids, a mask and, if the network knows them, token types (rows, tokens); the last row is padded."""
    generator = torch.Generator().manual_seed(tokens)
    ids = torch.randint(vocabulary_size, (rows, tokens), generator=generator)
    mask = torch.ones_like(ids, dtype=torch.bool)
    if rows > 1:
        mask[-1, tokens - tokens // 3 :] = False
    return (ids, mask, torch.zeros_like(ids)) if knows_types else (ids, mask)
