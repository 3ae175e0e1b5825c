"""A translation memory: what somebody has translated before is answered without the model."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from heedful.data import Columns, LabelKind, OnBadRow, Source, read_examples
from heedful.tasks.text_to_text.answer import TextAnswer

SHOWN = 5
"""Conflicts that are told one by one."""
SIDES = Columns(text="source", target="target")


@dataclass(frozen=True)
class TranslationMemory:
    """Sources and their translations."""

    exact: Mapping[str, str] = field(default_factory=dict)
    folded: Mapping[str, str] = field(default_factory=dict)
    """By sources in which neither case nor the kind of white space counts."""
    notes: tuple[str, ...] = ()
    """What to tell the user, a line each."""

    @classmethod
    def read(
        cls,
        where: str | Sequence[str],
        columns: Columns = SIDES,
        *,
        on_bad_row: OnBadRow = OnBadRow.ERROR,
    ) -> TranslationMemory:
        """Read files of sources with their translations; where entries disagree, the last one counts.

        Args:
            where: what :meth:`heedful.data.Source.parse` takes, such as a .tsv, .jsonl or .tmx file.
            columns: what the two sides are called; in a TMX file they are languages.

        Raises:
            DataError: there is no such file, it is malformed, or a row lacks one side.
        """
        reader = read_examples(Source.parse(where), columns, label_kind=LabelKind.TEXT, on_bad_row=on_bad_row)
        exact: dict[str, str] = {}
        folded: dict[str, str] = {}
        places: dict[str, str] = {}
        conflicts = []
        for example in reader:
            source, key, target = example.text, _folded(example.text), example.target or ""
            if folded.get(key, target) != target:
                conflicts.append(f"{example.place}: {source!r:.60} stands for another text than at {places[key]}")
            exact[source] = folded[key] = target
            places[key] = example.place
        notes = list(reader.bad_rows.notes)
        if conflicts:
            notes += [f"{len(conflicts):,} entries of the memory disagree with one before them; the last one counts"]
            notes += [*conflicts[:SHOWN], *[f"and {len(conflicts) - SHOWN:,} more"] * (len(conflicts) > SHOWN)]
        return cls(exact, folded, tuple(notes))

    def __len__(self) -> int:
        return len(self.exact)

    def __contains__(self, text: str) -> bool:
        return self.find(text) is not None

    def find(self, text: str) -> TextAnswer | None:
        """The answer to a text that is in the memory as it stands, else but for case and white space; or None."""
        found = self.exact.get(text, self.folded.get(_folded(text)))
        return None if found is None else TextAnswer(found, 0.0, origin="memory")


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
