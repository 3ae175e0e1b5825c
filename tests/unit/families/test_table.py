"""The table of families is that of the registry, on the page and at the command line."""

from __future__ import annotations

import transformers
from tools import family_table

from heedful.families import FAMILIES, family_rows


def test_the_page_is_what_the_program_writes() -> None:
    assert family_table.PAGE.read_text(encoding="utf-8") == family_table.page(), "run python tools/family_table.py"


def test_every_family_has_its_row() -> None:
    rows = {row.family: row for row in family_rows()}
    assert set(rows) == set(FAMILIES)
    assert {row.kind for row in rows.values()} == {"encoder", "decoder", "encoder–decoder"}
    assert (rows["bert"].kind, rows["llama"].kind, rows["t5"].kind) == ("encoder", "decoder", "encoder–decoder")
    assert "is_decoder" in rows["bert"].refused


def test_the_classes_of_upstream_exist() -> None:
    names = [name for row in family_rows() for name in row.architectures]
    assert len(names) > len(FAMILIES)
    assert [name for name in names if not hasattr(transformers, name)] == []
