"""Where data come from: files, standard input, folders, the Hub, and what ships with heedful."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field

from heedful.data.hub import download_split
from heedful.errors import DataError
from heedful.settings import Place, Settings, nearest, parse

STANDARD_INPUT = "-"
SHIPPED = ("helpdesk",)
"""Data sets inside of this package, one folder each with a JSON Lines file a split."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class Format(StrEnum):
    """How rows are written in a file; the value is the ending of its name."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"
    """An Arrow stream, as ``Dataset.save_to_disk`` of Hugging Face's ``datasets`` writes it."""
    TEXT = "txt"
    """One text a line."""
    TMX = "tmx"
    """A translation memory; its languages are its columns."""


class Compression(StrEnum):
    """How a file is compressed; the value is the last ending of its name."""

    NONE = ""
    GZIP = "gz"
    ZSTD = "zst"


@dataclass(frozen=True)
class DataFile:
    """One file, or standard input."""

    path: Path | None
    """None for standard input."""
    format: Format | None
    """None where the content has to tell, which only standard input's may."""
    compression: Compression = Compression.NONE
    target: DataFile | None = None
    """Plain text whose lines are to be written for the lines of this."""

    def __str__(self) -> str:
        return str(self.path or "standard input")


class AlignedFiles(Settings):
    """Two files of plain text, line by line: the texts, and what is to be written for them."""

    source: Place = Field(description="file with a text a line, compressed or not")
    target: Place = Field(description="file with what is to be written for each, line by line")

    def __str__(self) -> str:
        return f"{self.source}+{self.target}"


Where = str | Path | Mapping[str, str | Path]
"""One place that :meth:`Source.parse` finds."""


@dataclass(frozen=True)
class Source:
    """One or more files whose rows follow each other."""

    name: str
    files: tuple[DataFile, ...]

    @classmethod
    def parse(cls, where: Where | Sequence[Where], *, format: str | None = None) -> Source:  # noqa: A002
        """Find data.

        Args:
            where: a file ``*.csv``, ``.tsv``, ``.jsonl``, ``.parquet``, ``.tmx`` or ``.txt``, also with ``.gz`` or
                ``.zst`` after it; two aligned files of plain text, whatever they are called, as ``train.en+train.de``,
                or as a mapping, ``{"source": "train.en", "target": "train.de"}``; ``-``, standard input: JSON Lines if
                it begins with ``{``, else a text a line; a folder that ``save_to_disk`` of Hugging Face's
                ``datasets`` wrote; ``folder:split``, for a folder with several splits; ``owner/name:split`` or
                ``owner/name:subset/split``, a data set of the Hub; ``helpdesk:split``, which ships with heedful; or a
                list of them.
            format: a :class:`Format`, where the name does not tell it.

        Raises:
            DataError: there is no such file, folder, split or data set, or its format cannot be told.
        """
        if isinstance(where, Mapping):
            pair = parse(AlignedFiles, where, name="the source", error=DataError)
            return cls(str(pair), (_aligned(pair.source, pair.target),))
        if not isinstance(where, str | Path):
            parts = [cls.parse(part, format=format) for part in where]
            if not parts:
                raise DataError("a list of data sources is empty", remedy="Name at least one file.")
            return cls(", ".join(part.name for part in parts), tuple(file for part in parts for file in part.files))
        if format is not None and format not in set(Format):
            raise DataError(f"{format!r} is no format of data", remedy=nearest(format, Format))
        chosen = Format(format) if format else None
        if str(where) == STANDARD_INPUT:
            return cls("standard input", (DataFile(None, chosen),))
        return cls(str(where), _find(str(where), chosen))


def _find(name: str, format_: Format | None) -> tuple[DataFile, ...]:
    place, _, split = name.partition(":")
    if place in SHIPPED:
        return _split_files(Path(str(resources.files("heedful.data") / place)), split, place)
    if Path(name).is_dir():
        return _folder_files(Path(name), "", name)
    if not Path(name).is_file() and (sides := _sides(name)):
        return (_aligned(*sides),)
    if Path(name).is_file() or _data_file(Path(name)):
        return (_single_file(Path(name), format_),)
    if Path(place).is_dir():
        return _folder_files(Path(place), split, name)
    if not _HUB_NAME.fullmatch(place):
        raise DataError(f"there is no file or folder {name}", remedy="Check the path.")
    if not split:
        raise DataError(
            f"there is no file or folder {name}",
            remedy=f"Check the path; for a data set of the Hub, name the split too, such as {name}:train.",
        )
    return _split_files(download_split(place, split, [format_.value for format_ in Format]), split, place)


def _sides(name: str) -> tuple[str, str] | None:
    """The two files that a plus sign joins in ``name``; None unless at least one of them is there."""
    splits = [(name[:place], name[place + 1 :]) for place, sign in enumerate(name) if sign == "+"]
    there = {split: sum(Path(side).is_file() for side in split) for split in splits}
    best = max(splits, key=lambda split: there[split], default=None)
    return best if best and there[best] else None


def _aligned(source: str, target: str) -> DataFile:
    files = []
    for path in map(Path, (source, target)):
        if not path.is_file():
            raise DataError(f"there is no file {path}", remedy=f"Check the paths of the pair {source} + {target}.")
        told = _data_file(path)
        if told and told.format is not Format.TEXT:
            raise DataError(
                f"{path} is {told.format}, and two aligned files are plain text",
                remedy="Name it alone: both texts can stand in the columns of one such file.",
            )
        ending = path.suffix.lower().removeprefix(".")
        compression = Compression(ending) if ending in set(Compression) else Compression.NONE
        files.append(DataFile(path, Format.TEXT, compression))
    return replace(files[0], target=files[1])


def _data_file(path: Path) -> DataFile | None:
    """What the name tells about a file; None if that is nothing."""
    endings = path.name.lower().split(".")
    compression = Compression.NONE
    if endings[-1] in (Compression.GZIP, Compression.ZSTD):
        compression = Compression(endings.pop())
    return DataFile(path, Format(endings[-1]), compression) if endings[-1] in set(Format) else None


def _single_file(path: Path, format_: Format | None) -> DataFile:
    if not path.is_file():
        raise DataError(f"there is no file {path}", remedy="Check the path.")
    told = _data_file(path)
    if told and format_:
        return replace(told, format=format_)
    if not (told or format_):
        endings = ", ".join(f".{format_.value}" for format_ in Format)
        raise DataError(
            f"the name of {path} does not tell its format",
            remedy=f"Name it with one of the endings {endings}, and .gz or .zst after that if it is compressed.",
        )
    return told or DataFile(path, format_)


def _folder_files(folder: Path, split: str, name: str) -> tuple[DataFile, ...]:
    """The files of a folder that ``datasets`` saved, or those with the split in their names."""
    splits_file, state_file = folder / "dataset_dict.json", folder / "state.json"
    if splits_file.is_file():
        splits = _read_list(splits_file, "splits")
        if split not in splits:
            found = f"no split {split!r}" if split else "several splits"
            raise DataError(
                f"the data set {folder} has {found}; it has {', '.join(splits)}",
                remedy=f"Name one of them, such as {folder}:{splits[0]}.",
            )
        return _folder_files(folder / split, "", name)
    if state_file.is_file() and not split:
        parts = _read_list(state_file, "_data_files")
        return tuple(DataFile(folder / part["filename"], Format.ARROW) for part in parts)
    return _split_files(folder, split, str(folder))


def _split_files(folder: Path, split: str, name: str) -> tuple[DataFile, ...]:
    """The files in and below a folder that are called after the split, or lie in a folder that is.

    Numbers of parts may follow (``train-00000-of-00002.parquet``), other words may not (``train_extra.csv``).
    """
    *subset, word = split.split("/")
    called = rf"(?:^|[/_.-]){re.escape(word)}(?:[-_.](?:of|[0-9a-f]+))*\.[a-z.]+$"
    within = rf"(?:^|/){re.escape(word)}/[^/]+$"
    present = sorted(path for path in folder.rglob("*") if _data_file(path) and path.is_file())
    paths = {path: path.relative_to(folder) for path in present}
    chosen = [
        path
        for path, relative in paths.items()
        if re.search(f"{called}|{within}", relative.as_posix()) and set(subset) <= set(relative.parts)
    ]
    files = [file for path in chosen if (file := _data_file(path))]
    if split and len({(path.parent, file.format) for path, file in zip(chosen, files, strict=True)}) == 1:
        return tuple(files)
    fault = f"has no split {split!r}" if split else "has several splits"
    if split and chosen:
        fault = f"has files of several kinds for the split {split!r}"
    shown = ", ".join(str(paths[path]) for path in (chosen or present)[:8]) or "none"
    raise DataError(
        f"the data set {name} {fault}; its files: {shown}",
        remedy=f"Name one split, such as {name}:train or {name}:subset/train, or a file.",
    )


def _read_list(file: Path, key: str) -> list[Any]:
    """The list under ``key`` in a JSON object."""
    try:
        return list(json.loads(file.read_text(encoding="utf-8"))[key])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is damaged: {error!r}", remedy="Save or copy the data set again.") from error
