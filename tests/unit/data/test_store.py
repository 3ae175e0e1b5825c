"""Examples on disk."""

from __future__ import annotations

import gc
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from heedful.data import Example, ExampleStore
from heedful.errors import DataError, JobError

EXAMPLES = [
    Example(f"text {number} 文", None if number % 3 else f"pair {number}", ("a", "b")[: number % 3], number + 1)
    for number in range(2500)
]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_goes_in_comes_out() -> None:
    store = ExampleStore(iter(EXAMPLES))
    assert len(store) == 2500
    assert list(store) == EXAMPLES
    assert [store[0], store[1500], store[-1]] == [EXAMPLES[0], EXAMPLES[1500], EXAMPLES[-1]]


@pytest.mark.parametrize("kind", [list, np.array])
def test_examples_are_taken_in_any_order(kind: type) -> None:
    store = ExampleStore(EXAMPLES)
    chosen = [2499, 0, 1024, 1023, 0]
    assert store.take(kind(chosen)) == [EXAMPLES[index] for index in chosen]
    assert store.take([]) == []


@pytest.mark.parametrize("index", [2500, -2501])
def test_there_is_nothing_outside(index: int) -> None:
    with pytest.raises(IndexError, match="of 2500"):
        ExampleStore(EXAMPLES)[index]


def test_an_empty_store() -> None:
    store = ExampleStore([])
    assert (len(store), list(store)) == (0, [])
    assert list(store.texts()) == []


def test_the_file_goes_with_the_store(temporary: Path) -> None:
    with ExampleStore(EXAMPLES):
        assert list(temporary.rglob("*.arrow"))
    assert not list(temporary.iterdir())
    store = ExampleStore(EXAMPLES)
    assert list(temporary.rglob("*.arrow"))
    del store
    gc.collect()
    assert not list(temporary.iterdir())


def test_a_fault_of_the_examples_leaves_no_file(temporary: Path) -> None:
    def faulty() -> Iterator[Example]:
        yield from EXAMPLES
        raise DataError("row 2501 is bad")

    with pytest.raises(DataError, match="row 2501"):
        ExampleStore(faulty())
    gc.collect()
    assert not list(temporary.iterdir())


def test_a_full_disk_while_writing(temporary: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(JobError, match=rf"cannot be kept in {temporary}: File too large") as caught:
            ExampleStore(EXAMPLES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "TMPDIR" in str(caught.value.remedy)


def test_a_temporary_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(JobError, match="cannot be kept in /nowhere/at/all"):
        ExampleStore(EXAMPLES)


def test_texts_to_train_a_tokenizer_on() -> None:
    store = ExampleStore(EXAMPLES)
    expected = [text for example in EXAMPLES for text in (example.text, example.pair) if text is not None]
    assert list(store.texts()) == expected
    single = ExampleStore(example._replace(pair=None) for example in EXAMPLES)
    some = list(single.texts(max_characters=4000))
    assert 3000 < sum(map(len, some)) <= 4000
    rows = [int(text.split()[1]) for text in some]
    assert max(rows) > 2400
    assert len(set(np.diff(rows))) == 1


def test_what_is_to_be_written_is_kept() -> None:
    targets = [f"Ziel {example.row}" for example in EXAMPLES]
    written = [example._replace(labels=(), target=target) for example, target in zip(EXAMPLES, targets, strict=True)]
    store = ExampleStore(written)
    assert list(store) == written
    assert store.take([1500]) == [written[1500]]
    sources = [text for example in written for text in (example.text, example.pair) if text is not None]
    assert list(store.targets()) == targets
    assert list(store.sources()) == sources
    assert sorted(store.texts()) == sorted([*sources, *targets])
    assert list(ExampleStore(EXAMPLES).targets()) == []
    assert 900 < sum(map(len, store.targets(max_characters=1000))) <= 1000
