"""Answers that survive an interruption: they are on the disk before they count."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Self

from heedful.checkpoint import replace_files, writing
from heedful.data import Example
from heedful.errors import OutputError, RequestError

SYNCHRONISED_EVERY = 1.0
"""Seconds between two requests to put answers on the disk itself, which a power cut leaves alone; what is killed
in between loses nothing."""


class Journal:
    """The answers of a prediction so far, in a file beside the one that they are meant for.

    Its first line says what they are answers of: the model and the settings; each further line holds a text's
    fingerprint and its answer. The file they are meant for appears when all are there, as a whole, and with it a small
    hidden one that says what it was made of.
    """

    def __init__(self, output: Path, made_by: Mapping[str, str], *, resume: bool) -> None:
        """
        Args:
            made_by: what answers depend on beside the texts, such as "model": by a name for people, a fingerprint.
            resume: go on with the answers that are there.

        Raises:
            OutputError: there are answers already and ``resume`` is not set, another prediction writes them at this
                moment, or the place cannot be written, or holds a folder or device.
            RequestError: the answers that are there depend on something else.
        """
        self._made_by = dict(made_by)
        if output.exists() and not output.is_file():
            # What is moved to its place as a whole would take the place of a device, too.
            raise OutputError(f"{output} is there, and is no file", remedy="Name a file, or write to standard output.")
        self.output = output
        self.path = output.with_name(f"{output.name}.partial")
        self._seal = output.with_name(f".{output.name}.finished")
        self._sealed: Mapping[str, Any] | None = None
        """What the output was made of, if it was finished before and is to be gone on with."""
        self.count = 0
        """Answers that it holds."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        try:
            self._claim()
            self._continue(resume=resume)
        except BaseException:
            self._file.close()
            raise
        self._synchronised = time.monotonic()

    def _claim(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"another prediction is writing {self.output} now", remedy="Wait for it, or name another file."
            ) from error

    def _continue(self, *, resume: bool) -> None:
        """Find the end of what is whole; a line that an interruption tore off is cut away."""
        begun, end = None, 0
        for number, (record, place) in enumerate(_whole_lines(self.path)):
            begun, end, self.count = begun or record, place, number
        if self.count and not resume:
            raise OutputError(
                f"{self.path} has {self.count:,} answers of a prediction that was interrupted",
                remedy="Go on with --resume, or delete it to begin anew.",
            )
        if self.count and (changed := _changed(begun or {}, self._made_by)):
            raise RequestError(
                f"{self.path} cannot be gone on with: {changed} changed since",
                remedy="Take what it was begun with, or delete it to begin anew.",
            )
        self._file.seek(end if self.count else 0)
        self._file.truncate()
        if resume and not begun and self.output.exists():
            self._sealed = next((record for record, _ in _whole_lines(self._seal)), None)
        if not self.count and self._sealed is None:
            self._write(self._made_by)

    def is_finished(self, examples: Iterable[Example]) -> bool:
        """Whether the output was finished before, and nothing is left to do; examples are read only if it was.

        Raises:
            RequestError: it was, and the examples, what answers depend on or the output itself changed since.
        """
        if self._sealed is None:
            return False
        texts = _digest(fingerprint(example) for example in examples)
        if changed := _changed(self._sealed, self._made_by | {"input": texts, "output": _file_digest(self.output)}):
            raise RequestError(
                f"{self.output} was finished, and {changed} changed since",
                remedy="Name another file, or leave out --resume to make this one anew.",
            )
        return True

    def remaining(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples that have no answer yet.

        Raises:
            RequestError: those that have one are not those that were answered.
        """
        iterator = iter(examples)
        for number, record in enumerate(self._records(), 1):
            example = next(iterator, None)
            if example is None:
                fault = f"it has {number - 1:,} texts, and {self.count:,} were answered"
            elif fingerprint(example) != record["text"]:
                fault = f"{example.place} is another text now"
            else:
                continue
            raise RequestError(
                f"{self.path} cannot be gone on with: the input changed, {fault}",
                remedy="Take the input that it was begun with, or delete it to begin anew.",
            )
        yield from iterator

    def add(self, example: Example, answer: str) -> None:
        """Keep an answer: on return no kill of this process can undo it.

        Raises:
            JobError: the disk is full.
        """
        with writing(self.path):
            self._write({"text": fingerprint(example), "answer": answer})
            if time.monotonic() - self._synchronised > SYNCHRONISED_EVERY:
                os.fsync(self._file.fileno())
                self._synchronised = time.monotonic()
        self.count += 1

    @property
    def answers(self) -> Iterator[str]:
        """All answers, in the order of the texts."""
        return (str(record["answer"]) for record in self._records())

    def finish(self, content: Iterable[str]) -> None:
        """Write the file that the answers are meant for, as a whole, and remove this one."""
        with replace_files(self.output.parent) as staging:
            with (staging / self.output.name).open("w", encoding="utf-8", newline="") as file:
                file.writelines(content)
            texts = _digest(str(record["text"]) for record in self._records())
            seal = self._made_by | {"input": texts, "output": _file_digest(staging / self.output.name)}
            (staging / self._seal.name).write_text(f"{json.dumps(seal)}\n", encoding="ascii")
        with writing(self.path):
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sealed is not None:  # it was opened to keep others away, and is empty
            with writing(self.path):
                self.path.unlink()
        self._file.close()

    def _write(self, record: Mapping[str, str]) -> None:
        rest = memoryview(json.dumps(record).encode() + b"\n")
        while rest:  # nothing stays in a buffer of this process; a disk that fills up takes a part
            rest = rest[self._file.write(rest) :]

    def _records(self) -> Iterator[Mapping[str, Any]]:
        return (record for record, _ in islice(_whole_lines(self.path), 1, self.count + 1))


def fingerprint(example: Example) -> str:
    """What tells a text, or a pair of texts, from any other."""
    return hashlib.sha256(json.dumps([example.text, example.pair]).encode()).hexdigest()[:32]


def _changed(before: Mapping[str, Any], now: Mapping[str, str]) -> str:
    """What is not as it was, for people; nothing if all is."""
    return " and ".join(f"the {name}" for name in now if before.get(name) != now[name])


def _digest(texts: Iterable[str]) -> str:
    """Of the fingerprints of all texts."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole_lines(path: Path) -> Iterator[tuple[Mapping[str, Any], int]]:
    """The records up to the first line that is torn, and where each ends.

    After a power cut there may be anything behind what was synchronised: nothing behind a torn line is believed.
    """
    if not path.exists():
        return
    end = 0
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                return
            if not isinstance(record, dict):
                return
            end += len(line)
            yield record, end
