"""``heedful predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from heedful.cli.options import (
    AllowCode,
    AllowPickle,
    BadRow,
    Engine,
    Form,
    Job,
    Json,
    Model,
    Output,
    PairColumn,
    Precision,
    Resume,
    Revision,
    TextColumn,
    TextsOrDocument,
    Threads,
    Workers,
    answering_task,
    renamed,
)

NAME = "predict"
EXAMPLES = (
    'echo "my order arrived broken" | heedful predict runs/demo',
    "heedful predict runs/demo messages.txt > answers.tsv",
    "heedful predict runs/demo messages.csv --text-column body --json | head -3",
    "heedful predict runs/multi30k_en_de sentences.txt --output translations.txt",
)


def command(
    model: Model,
    data: TextsOrDocument = "-",
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    on_bad_row: BadRow = "error",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Labels to give for each text, with --json.")] = 5,
    form: Form = None,
    output: Output = None,
    resume: Resume = False,
    job: Job = None,
    precision: Precision = None,
    engine: Engine = "eager",
    threads: Threads = None,
    workers: Workers = None,
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    allow_code: AllowCode = None,
    as_json: Json = False,
) -> None:
    """Answer texts: classify, translate or summarize them, whatever the model was made for.

    One line for each text, in order: label, score from 0 to 1, and the text, or the text that was written; with
    --json, one JSON object. A blank line of plain text is answered too, so that answers and lines stay side by side.
    """
    from heedful.cli.answering import Work, answer_all

    task = answering_task(
        model,
        threads=threads,
        workers=workers,
        task=job,
        revision=revision,
        allow_pickle=allow_pickle,
        allow_code=allow_code,
        precision=precision,
        engine=engine,
    )
    columns = renamed(task.card.columns, text=text_column, pair=pair_column)
    answer_all(task, Work(data, columns, on_bad_row, form, output, resume, as_json, top))
