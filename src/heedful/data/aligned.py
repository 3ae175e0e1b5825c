"""Rows of two plain files whose lines belong together: texts in one, what is to be written for them in the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from heedful.data.bad_rows import BadRows
from heedful.data.files import Lines, opened
from heedful.data.rows import Row
from heedful.data.source import DataFile
from heedful.errors import DataError

WILD_RATIO = 3.0
"""Two lines whose lengths differ by this factor more than those of the lines above hardly say the same."""
LENGTH_PRIOR, RATIO_PRIOR = 10, 1000
"""Characters added to both lengths, so that a word beside two words is not wild, and to both sums, so that the ratio of
the first lines counts for little."""


def read_aligned(file: DataFile, target: DataFile, columns: Collection[str], bad_rows: BadRows) -> Iterator[Row]:
    """Pairs of lines, in the first two of ``columns``, or ``text`` and ``target``; blank ones too, so that all count.

    Raises:
        DataError: one file has more lines than the other, whatever the policy for bad rows: no pair can be trusted.
    """
    names = list(columns) or ["text", "target"]
    if len(names) > 2:
        raise DataError(
            f"{file} + {target} are two files of plain text, and have no column {names[2]!r}",
            remedy="Use csv, tsv, jsonl or parquet.",
        )
    counts, lengths = [0, 0], _Lengths()
    for lines in zip_longest(_lines(file), _lines(target)):
        counts = [count + (line is not None) for count, line in zip(counts, lines, strict=True)]
        if None in lines:
            continue
        pair = [line for line, _ in lines]
        lengths.add(counts[0], *map(len, pair))
        row = Row(f"{file} + {target}", counts[0], dict(zip(names, pair, strict=False)), blank=not pair[0].strip())
        faults = [fault for _, fault in lines if fault]
        if faults:
            bad_rows.report(row.place, ", and ".join(faults))
        else:
            yield row
    if counts[0] != counts[1]:
        raise DataError(
            f"{file} has {counts[0]:,} lines, but {target} has {counts[1]:,}{lengths.first_wild}",
            remedy="Line N of one file has to belong to line N of the other: find what was left out, or split in two.",
        )


def _lines(file: DataFile) -> Iterator[tuple[str, str | None]]:
    """Each line, and what is wrong with it."""
    with opened(file) as stream:
        lines = Lines(stream)
        for line in lines:
            fault = lines.take_fault()
            yield line.rstrip("\r\n"), f"{file} {fault}" if fault else None


@dataclass
class _Lengths:
    """The lengths of the pairs of lines so far, and the first place where they go apart."""

    source: int = 0
    target: int = 0
    first_wild: str = ""

    def add(self, number: int, source: int, target: int) -> None:
        usual = (self.source + RATIO_PRIOR) / (self.target + RATIO_PRIOR)
        ratio = (source + LENGTH_PRIOR) / (target + LENGTH_PRIOR) / usual
        if not self.first_wild and not 1 / WILD_RATIO < ratio < WILD_RATIO:
            self.first_wild = (
                f"; their lengths first go apart in line {number:,}: {source:,} characters beside {target:,}"
            )
        self.source += source
        self.target += target
