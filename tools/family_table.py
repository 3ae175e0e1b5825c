"""Write docs/reference/families.md from the registry of families, so that the page cannot go stale.

Run: python tools/family_table.py. A test holds that the committed page is what this writes.
"""

from __future__ import annotations

from pathlib import Path

from heedful.families import FamilyRow, family_rows

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "families.md"

INTRODUCTION = """\
<!-- Written by tools/family_table.py from the registry of families. Change that, then run it. -->

# Families

A checkpoint is of the family that `model_type` in its `config.json` names. heedful runs all families with one
implementation, and each gives the numbers of its reference: states and logits differ by less than 1e-9 in float64.

Every key of a config is read, or known to change no number, or refused: an option in the last column is an error that
names it, never a silent difference. `heedful families` prints this table, and
[the doctor](../how-to/doctor.md) tells what a folder holds.

"""


CLASSES = """\
## Classes of transformers

Checkpoints of these classes are read, and written by [`heedful convert`](../how-to/convert.md).

"""


def page() -> str:
    """The whole page."""
    rows = family_rows()
    head = "| family | kind | jobs | options refused |\n|---|---|---|---|\n"
    classes = (f"- `{row.family}`: {', '.join(row.architectures)}\n" for row in rows)
    return f"{INTRODUCTION}{head}{''.join(map(_line, rows))}\n{CLASSES}{''.join(classes)}"


def _line(row: FamilyRow) -> str:
    cells = (
        f"`{row.family}`",
        row.kind,
        ", ".join(row.jobs),
        "<br>".join(row.refused),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
