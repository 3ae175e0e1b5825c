"""``heedful predict``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heedful.cli.options import BadRow, Json, PairColumn, TextColumn, renamed

if TYPE_CHECKING:
    from heedful.tasks import Classification

NAME = "predict"


def command(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    data: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="Texts: a file with columns, one text a line, or -.")
    ] = "-",
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    on_bad_row: BadRow = "error",
    top: Annotated[int, typer.Option(min=1, help="Labels to print for each text, with --json.")] = 5,
    as_json: Json = False,
) -> None:
    """Classify texts; one line of answer for each, in order: label, score, text.

    Example: echo "my card was swallowed" | heedful predict runs/banking77
    """
    from heedful.data import LabelKind, OnBadRow, read_examples
    from heedful.tasks import load

    task = load(model)
    columns = renamed(task.card.columns, text_column, pair_column, None)
    reader = read_examples(data, columns, label_kind=LabelKind.NONE, on_bad_row=OnBadRow(on_bad_row))
    cut = windowed = 0
    for example, answer in task.predict_stream(reader):
        cut += answer.cut_tokens > 0
        windowed += answer.windows > 1
        typer.echo(_as_json(answer, top) if as_json else _as_text(example.text, answer))
    notes = list(reader.bad_rows.notes)
    if cut:
        notes.append(f"{cut:,} texts were cut to {task.card.max_length} tokens")
    if windowed:
        notes.append(f"{windowed:,} texts were read in windows of {task.card.max_length} tokens")
    for note in notes:
        print(f"heedful: {note}", file=sys.stderr)


def _as_json(answer: Classification, top: int) -> str:
    record = {
        "label": answer.label,
        "labels": list(answer.labels),
        "score": answer.score,
        "scores": dict(list(answer.scores.items())[:top]),
        "cut_tokens": answer.cut_tokens,
        "windows": answer.windows,
    }
    return json.dumps(record, ensure_ascii=False)


def _as_text(text: str, answer: Classification) -> str:
    shown = ",".join(answer.labels) or "-"
    return f"{shown}\t{answer.score:.3f}\t{' '.join(text.split())}"
