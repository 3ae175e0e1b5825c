"""``heedful summarize``."""

from __future__ import annotations

from typing import Annotated

import typer

from heedful.cli.options import (
    AllowPickle,
    BadRow,
    Beams,
    Engine,
    Form,
    Json,
    LongInput,
    Model,
    Output,
    Precision,
    Resume,
    Revision,
    Shortlist,
    TextColumn,
    TextsOrDocument,
    Threads,
    Workers,
    answering_task,
    renamed,
)

NAME = "summarize"
EXAMPLES = (
    "heedful summarize runs/articles articles.jsonl --output summaries.txt",
    "heedful summarize runs/articles page.html --length short",
    "heedful summarize facebook/bart-large-cnn report.txt --format plain",
)


def command(
    model: Model,
    data: TextsOrDocument = "-",
    length: Annotated[
        str, typer.Option(metavar="short|medium|long|N", help="How long summaries are; N is the most tokens of one.")
    ] = "medium",
    beams: Beams = None,
    shortlist: Shortlist = None,
    long_input: LongInput = None,
    form: Form = None,
    output: Output = None,
    resume: Resume = False,
    text_column: TextColumn = None,
    on_bad_row: BadRow = "error",
    precision: Precision = None,
    engine: Engine = "eager",
    threads: Threads = None,
    workers: Workers = None,
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    as_json: Json = False,
) -> None:
    """Summarize texts, one a line, or a document as a whole.

    One line for each text, in order; with --json, one JSON object with all there is to say about it.
    """
    from heedful.cli.answering import Work, answer_all
    from heedful.tasks import Summarizer
    from heedful.tasks.text_to_text.options import AnswerOptions
    from heedful.tasks.text_to_text.search import length_changes

    task = answering_task(
        model,
        threads=threads,
        workers=workers,
        shortlist=shortlist,
        task=Summarizer.job,
        revision=revision,
        allow_pickle=allow_pickle,
        precision=precision,
        engine=engine,
    )
    changes = length_changes(length, task.card.generation) | ({"num_beams": beams} if beams else {})
    columns = renamed(task.card.columns, text=text_column)
    options = AnswerOptions(generation=changes, long_input=long_input)
    answer_all(task, Work(data, columns, on_bad_row, form, output, resume, as_json, options=options))
