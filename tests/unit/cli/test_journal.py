"""Answers that survive whatever interrupts a prediction."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.cli.journal import Journal
from heedful.data import Example
from heedful.errors import JobError, OutputError, RequestError

MADE_BY = {"model": "m1", "settings": "s1"}
TEXTS = [f"text {number}\n雨" for number in range(6)]


def examples(texts: list[str] = TEXTS) -> list[Example]:
    return [Example(text, None, (), number) for number, text in enumerate(texts, 1)]


def answer(example: Example) -> str:
    return f"answer to {example.text!r} \u2028"


def predict(
    output: Path, *, resume: bool = False, stop_after: int | None = None, asked: list[str] | None = None
) -> None:
    """What a verb does; it stops after some answers."""
    with Journal(output, MADE_BY, resume=resume) as journal:
        if journal.is_finished(examples()):
            return
        for number, example in enumerate(journal.remaining(examples())):
            if number == stop_after:
                return
            if asked is not None:
                asked.append(example.text)
            journal.add(example, answer(example))
        journal.finish(f"{line}\n" for line in journal.answers)


WANTED = "".join(f"{answer(example)}\n" for example in examples())


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "answers.txt"


@pytest.fixture
def partial(output: Path) -> Path:
    return output.with_name("answers.txt.partial")


def test_the_file_appears_when_all_answers_are_there(output: Path, partial: Path) -> None:
    predict(output, stop_after=3)
    assert not output.exists()
    assert partial.exists()
    asked: list[str] = []
    predict(output, resume=True, asked=asked)
    assert asked == TEXTS[3:]
    assert output.read_text(encoding="utf-8") == WANTED
    assert sorted(path.name for path in output.parent.iterdir()) == [".answers.txt.finished", "answers.txt"]


def test_what_is_done_is_not_lost_by_beginning_anew(output: Path, partial: Path) -> None:
    predict(output, stop_after=3)
    before = partial.read_bytes()
    with pytest.raises(OutputError, match="has 3 answers of a prediction that was interrupted") as caught:
        predict(output)
    assert "--resume" in str(caught.value)
    assert partial.read_bytes() == before


def test_nothing_to_go_on_with_is_a_beginning(output: Path) -> None:
    predict(output, resume=True)
    assert output.read_text(encoding="utf-8") == WANTED


def test_an_older_file_stays_until_the_new_one_is_whole(output: Path) -> None:
    output.write_text("older", encoding="utf-8")
    predict(output, stop_after=5)
    assert output.read_text(encoding="utf-8") == "older"
    predict(output, resume=True)
    assert output.read_text(encoding="utf-8") == WANTED


def test_what_is_finished_is_not_done_again(output: Path) -> None:
    predict(output)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.parent.iterdir()}
    asked: list[str] = []
    predict(output, resume=True, asked=asked)
    assert asked == []
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.parent.iterdir()} == before
    predict(output, asked=asked)
    assert asked == TEXTS


def test_what_is_finished_is_gone_on_with_only_as_it_was(output: Path) -> None:
    predict(output)
    names = sorted(path.name for path in output.parent.iterdir())
    for made_by, texts, fault in [
        ({"model": "m2", "settings": "s1"}, TEXTS, "the model changed since"),
        ({"model": "m2", "settings": "s2"}, TEXTS, "the model and the settings changed since"),
        (MADE_BY, [*TEXTS, "one more"], "the input changed since"),
        (MADE_BY, TEXTS[:-1], "the input changed since"),
        (MADE_BY, TEXTS[::-1], "the input changed since"),
    ]:
        with (
            Journal(output, made_by, resume=True) as journal,
            pytest.raises(RequestError, match=f"answers.txt was finished, and {fault}"),
        ):
            journal.is_finished(examples(texts))
        assert output.read_text(encoding="utf-8") == WANTED
        assert sorted(path.name for path in output.parent.iterdir()) == names


def test_what_somebody_wrote_into_a_finished_file_is_kept(output: Path) -> None:
    predict(output)
    output.write_text("mended by hand", encoding="utf-8")
    with pytest.raises(RequestError, match="the output changed since"):
        predict(output, resume=True)
    assert output.read_text(encoding="utf-8") == "mended by hand"


def test_what_is_begun_anew_is_what_goes_on(output: Path) -> None:
    """The older file is finished, and of no account: somebody wanted it made anew."""
    predict(output)
    predict(output, stop_after=0)
    asked: list[str] = []
    predict(output, resume=True, asked=asked)
    assert asked == TEXTS


def test_a_finished_file_that_is_gone_is_made_anew(output: Path) -> None:
    predict(output)
    output.unlink()
    asked: list[str] = []
    predict(output, resume=True, asked=asked)
    assert asked == TEXTS
    assert output.read_text(encoding="utf-8") == WANTED


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_cut_at_any_byte_costs_only_what_is_behind_it(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As a power cut may leave it: an end that is missing, or something else in its place."""
    output = tmp_path_factory.mktemp("cut") / "answers.txt"
    partial = output.with_name("answers.txt.partial")
    predict(output, stop_after=5)
    content = partial.read_bytes()
    place = data.draw(st.integers(0, len(content)))
    rubbish = data.draw(st.sampled_from([b"", b"\0" * 20, b'{"te', b"\xff\n", b"[]\n"]))
    partial.write_bytes(content[:place] + rubbish)
    asked: list[str] = []
    predict(output, resume=True, asked=asked)
    whole = max(content[:place].count(b"\n") - 1, 0)
    assert asked == TEXTS[whole:]
    assert output.read_text(encoding="utf-8") == WANTED


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (["other", *TEXTS[1:]], "row 1 is another text now"),
        ([TEXTS[0], TEXTS[2], TEXTS[1], *TEXTS[3:]], "row 2 is another text now"),
        (TEXTS[:2], "it has 2 texts, and 3 were answered"),
    ],
)
def test_another_input_is_refused(output: Path, texts: list[str], fault: str) -> None:
    predict(output, stop_after=3)
    with Journal(output, MADE_BY, resume=True) as journal, pytest.raises(RequestError, match=fault):
        list(journal.remaining(examples(texts)))


@pytest.mark.parametrize(
    ("made_by", "fault"),
    [
        ({"model": "m2", "settings": "s1"}, "the model changed"),
        ({"model": "m2", "settings": "s2"}, "the model and the settings changed"),
    ],
)
def test_another_model_is_refused(output: Path, partial: Path, made_by: dict[str, str], fault: str) -> None:
    predict(output, stop_after=3)
    before = partial.read_bytes()
    with pytest.raises(RequestError, match=fault):
        Journal(output, made_by, resume=True)
    assert partial.read_bytes() == before


def test_two_predictions_do_not_write_one_file(output: Path) -> None:
    with Journal(output, MADE_BY, resume=False) as first:
        first.add(examples()[0], "one")
        with pytest.raises(OutputError, match="another prediction is writing"):
            Journal(output, MADE_BY, resume=True)


def _dies(output: Path, count: int) -> None:
    with Journal(output, MADE_BY, resume=False) as journal:
        for example in journal.remaining(examples()):
            journal.add(example, answer(example))
            if journal.count == count:
                os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_has_lost_nothing(output: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_dies, args=(output, 4))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    asked: list[str] = []
    predict(output, resume=True, asked=asked)
    assert asked == TEXTS[4:]
    assert output.read_text(encoding="utf-8") == WANTED


def test_a_full_disk_is_told_and_gone_on_with(
    output: Path, small_files: Callable[[int], AbstractContextManager[None]]
) -> None:
    with small_files(300), pytest.raises(JobError, match="the disk filled up"):
        predict(output)
    assert not output.exists()
    predict(output, resume=True)
    assert output.read_text(encoding="utf-8") == WANTED


def test_a_failure_while_the_file_is_written_leaves_the_answers(output: Path, partial: Path) -> None:
    def failing() -> Iterator[str]:
        yield "half"
        raise ValueError

    with Journal(output, MADE_BY, resume=False) as journal:
        for example in journal.remaining(examples()):
            journal.add(example, answer(example))
        with pytest.raises(ValueError):
            journal.finish(failing())
    assert [path.name for path in output.parent.iterdir()] == [partial.name]
    assert len(partial.read_text(encoding="ascii").splitlines()) == len(TEXTS) + 1
    assert json.loads(partial.read_text(encoding="ascii").splitlines()[0]) == MADE_BY
    asked: list[str] = []
    predict(output, resume=True, asked=asked)
    assert asked == []
    assert output.read_text(encoding="utf-8") == WANTED


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write to"):
        Journal(tmp_path / "file" / "answers.txt", MADE_BY, resume=False)


def test_neither_a_folder_nor_a_device_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OutputError, match=f"{name} is there, and is no file"):
            Journal(tmp_path / name, MADE_BY, resume=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]
