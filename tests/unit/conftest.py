"""What unit tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from heedful.data import Columns, Example, ExampleStore
from heedful.model import UniformSpec
from heedful.tasks import JOBS
from heedful.text import TokenizerSettings

SENTENCES = [f"The {colour} dog number {n} sees a cat." for n, colour in enumerate(["red", "blue", "old"] * 5)]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Short ones, which the tokenizer of an ``ignorant`` task has learnt from."""
    return list(SENTENCES)


@pytest.fixture(scope="session")
def ignorant() -> Callable[..., Any]:
    """Make a task that writes, with random weights: it writes nonsense, the same for the same text."""

    def make(job: str, *, vocabulary_size: int = 300, **section: Any) -> Any:
        examples = [Example(text, None, (), row, target=text) for row, text in enumerate(SENTENCES, 1)]
        with ExampleStore(examples) as store:
            made = JOBS[job].create(
                JOBS[job].settings.model_validate({"job": job, **section}),
                TokenizerSettings.model_validate({"kind": "bpe", "vocabulary_size": vocabulary_size}),
                UniformSpec.model_validate({"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 64}),
                store,
                Columns(),
                seed=1,
            )
        made.network.double().eval()
        return made

    return make
