"""``heedful predict``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from heedful.cli.options import (
    AllowCode,
    AllowPickle,
    BadRow,
    Job,
    Json,
    Model,
    PairColumn,
    Revision,
    TextColumn,
    renamed,
)

if TYPE_CHECKING:
    from heedful.tasks import Classification, TextAnswer

NAME = "predict"
EXAMPLES = (
    'echo "my order arrived broken" | heedful predict runs/demo',
    "heedful predict runs/demo messages.txt > answers.tsv",
    "heedful predict runs/demo messages.csv --text-column body --json | head -3",
    "heedful predict runs/multi30k_en_de sentences.txt > translations.txt",
)
STANDARD_INPUT = "-"
SCREENFUL, BULK = 32, 4096
"""Texts to read ahead: more of them save padding, fewer save waiting."""


def command(
    model: Model,
    data: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="Texts: .txt, one a line, or .csv, .tsv, .jsonl, .parquet with columns; standard input if not given.",
        ),
    ] = STANDARD_INPUT,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    on_bad_row: BadRow = "error",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Labels to give for each text, with --json.")] = 5,
    job: Job = None,
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    allow_code: AllowCode = None,
    as_json: Json = False,
) -> None:
    """Answer texts: classify, translate or summarize them, whatever the model was made for.

    One line for each text, in order: label, score from 0 to 1, and the text, or the text that was written; with
    --json, one JSON object. A blank line of plain text is answered too, so that answers and lines stay side by side.
    """
    from heedful.cli.meter import Meter
    from heedful.data import LabelKind, OnBadRow, read_examples
    from heedful.progress import ProgressBar
    from heedful.tasks import load

    task = load(model, task=job, revision=revision, allow_pickle=allow_pickle, allow_code=allow_code)
    columns = renamed(task.card.columns, text=text_column, pair=pair_column)
    reader = read_examples(data, columns, label_kind=LabelKind.NONE, on_bad_row=OnBadRow(on_bad_row))
    cut = windowed = blank = 0
    with ProgressBar("predicting", shown=not sys.stdout.isatty()) as bar:
        meter, read_ahead = Meter(bar), _read_ahead(data)
        if read_ahead == 1:
            bar.say("heedful: type a text and press Enter; Ctrl-D ends")
        for example, answer in task.predict_stream(reader, look_ahead=read_ahead, tally=meter):
            cut += answer.cut_tokens > 0
            windowed += getattr(answer, "windows", 1) > 1
            blank += not example.text
            typer.echo(_as_json(answer, top) if as_json else _as_text(example.text, answer))
        notes = [*reader.bad_rows.notes]
        if blank:
            notes.append(f"{blank:,} blank lines have no text, and so no answer")
        if cut:
            notes.append(f"{cut:,} texts were cut to {task.card.max_length} tokens")
        if windowed:
            notes.append(f"{windowed:,} texts were read in windows of {task.card.max_length} tokens")
        for note in (*notes, meter.summary):
            bar.say(f"heedful: {note}")


def _read_ahead(data: str) -> int:
    """Texts to read before the first answer: one where they are typed, few where answers are awaited."""
    if data == STANDARD_INPUT and sys.stdin.isatty():
        return 1
    return SCREENFUL if sys.stdout.isatty() else BULK


def _as_json(answer: Classification | TextAnswer, top: int) -> str:
    from dataclasses import asdict

    from heedful.tasks import TextAnswer

    if isinstance(answer, TextAnswer):
        return json.dumps(asdict(answer), ensure_ascii=False)
    record = {
        "label": answer.label,
        "labels": list(answer.labels),
        "score": answer.score,
        "scores": dict(list(answer.scores.items())[:top]),
        "cut_tokens": answer.cut_tokens,
        "windows": answer.windows,
    }
    return json.dumps(record, ensure_ascii=False)


def _as_text(text: str, answer: Classification | TextAnswer) -> str:
    from heedful.evaluation.lettering import printable
    from heedful.tasks import TextAnswer

    if isinstance(answer, TextAnswer):
        return " ".join(printable(answer.text).split())
    # A stranger's text must neither steer the terminal nor break the line.
    shown = ",".join(map(printable, answer.labels)) or "-"
    return f"{shown}\t{answer.score:.3f}\t{' '.join(printable(text).split())}"
