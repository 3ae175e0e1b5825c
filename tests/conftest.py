"""What many tests share: rows to learn from, recipes that train in moments, and one run that is made once."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from heedful.data import Columns, Example, ExampleStore
from heedful.model import UniformSpec
from heedful.tasks import ClassificationSettings, TextClassifier, create_classifier, form_of
from heedful.text import Tokenizer, TokenizerSettings
from heedful.training import Run, train

Row = dict[str, Any]

TOPICS = {
    "card": "card swallowed stolen pin blocked plastic terminal",
    "transfer": "transfer pending iban recipient wire abroad salary",
    "weather": "rain sunny wind forecast umbrella cloudy 天气",
}
FILLERS = "please my the when why is not a today 请问"
MODEL = {"d_model": 16, "num_layers": 1, "num_heads": 2, "d_ff": 32}
TOKENIZER = {"kind": "wordpiece", "vocabulary_size": 120, "lowercase": True}


def _make_rows(count: int) -> list[Row]:
    random = Random(0)
    rows = []
    for number in range(count):
        label = list(TOPICS)[number % len(TOPICS)]
        words = random.choices(TOPICS[label].split(), k=random.randint(1, 3))
        words += random.choices(FILLERS.split(), k=random.randint(1, 5))
        random.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell switches Ctrl-C off for what it starts in the background, and for all that this starts in turn."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of compiled networks that is not the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["HEEDFUL_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small tensors gain nothing by more threads, and the same bits need the same number of them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def rows() -> tuple[Row, ...]:
    """120 texts of three topics, told apart by their words."""
    return tuple(_make_rows(120))


@pytest.fixture(scope="session")
def texts(rows: tuple[Row, ...]) -> list[str]:
    """The texts of ``rows``."""
    return [row["text"] for row in rows]


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write rows to a JSON Lines file of this test."""

    def write(rows: Iterable[Row], name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def recipe(tmp_path: Path, rows: tuple[Row, ...], jsonl: Callable[..., Path]) -> Callable[..., dict[str, Any]]:
    """Make a recipe that trains in a moment on ``rows``, or on others; keywords are its sections."""

    def make(examples: Iterable[Row] = rows, /, **sections: Mapping[str, Any]) -> dict[str, Any]:
        base: dict[str, Any] = {
            "task": {"job": "classification"},
            "data": {"train": jsonl(examples), "validation": 0.25},
            "tokenizer": TOKENIZER,
            "model": MODEL,
            "training": {"epochs": 2, "learning_rate": 0.01, "tokens_per_batch": 256, "threads": 1, "log_every": 1},
        }
        merged = {name: section | sections.get(name, {}) for name, section in base.items()}
        return merged | {"output": tmp_path / "run"}

    return make


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, rows: tuple[Row, ...]) -> Run:
    """A run that learnt ``rows``; tests read it and leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return train(
        {
            "task": {"job": "classification", "max_length": 32, "objective": {"mixup": 0, "subword_dropout": 0}},
            "data": {"train": path, "validation": 0.25, "test": path},
            "tokenizer": TOKENIZER,
            "model": MODEL,
            "training": {"epochs": 12, "learning_rate": 0.02, "tokens_per_batch": 256, "threads": 1, "log_every": 5},
            "output": folder / "run",
        }
    )


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory, rows: tuple[Row, ...]) -> Path:
    """A small BERT without a head as upstream saves it, with a tokenizer of ``rows``."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("bert")
    tokenizer = Tokenizer.train([row["text"] for row in rows], TokenizerSettings.model_validate(TOKENIZER))
    config = BertConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(1)
    BertModel(config).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


@pytest.fixture
def run_copy(run: Run, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be spoilt."""
    return Path(shutil.copytree(run.folder, tmp_path / "copy"))


@pytest.fixture
def stores() -> Iterator[Callable[[Iterable[Row]], ExampleStore]]:
    """Make rows into a store of examples."""
    made: list[ExampleStore] = []

    def make(rows: Iterable[Row]) -> ExampleStore:
        made.append(ExampleStore(_examples(rows)))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def untrained(stores: Callable[[Iterable[Row]], ExampleStore]) -> Callable[..., TextClassifier]:
    """Make a classifier with random weights for the labels of some rows; keywords are its ``task`` section."""

    def make(
        rows: Iterable[Row], *, seed: int = 1, model: Mapping[str, Any] | None = None, **task: Any
    ) -> TextClassifier:
        rows = list(rows)
        section = dict(model or {})
        form = form_of(section)
        return create_classifier(
            ClassificationSettings(job="classification", **task),
            TokenizerSettings.model_validate(TOKENIZER),
            form.model_validate(MODEL | section if form is UniformSpec else section),  # type: ignore[arg-type]
            stores(rows),
            Columns(pair="pair" if "pair" in rows[0] else None),
            seed=seed,
        )

    return make


@pytest.fixture
def small_files() -> Callable[[int], AbstractContextManager[None]]:
    """The system refuses files above a size in bytes, as a full disk would refuse the next block."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


def _examples(rows: Iterable[Row]) -> Iterator[Example]:
    for number, row in enumerate(rows, 1):
        label = row["label"]
        yield Example(row["text"], row.get("pair"), (label,) if isinstance(label, str) else tuple(label), number)
