"""``heedful evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heedful.cli.options import (
    AllowCode,
    AllowPickle,
    BadRow,
    Engine,
    Job,
    Json,
    LabelColumn,
    Model,
    PairColumn,
    Precision,
    Revision,
    SourceLanguage,
    TargetColumn,
    TargetLanguage,
    TextColumn,
    Threads,
    Workers,
    answering_task,
    renamed,
)

if TYPE_CHECKING:
    from heedful.data import Columns
    from heedful.tasks import AnyTask

NAME = "evaluate"
EXAMPLES = (
    "heedful evaluate runs/demo helpdesk:test",
    "heedful evaluate runs/banking77 test.jsonl.gz --output report",
    "heedful evaluate runs/banking77 test.csv --label-column intent --json > figures.json",
    "heedful evaluate runs/multi30k_en_de test.en+test.de",
    "heedful evaluate runs/large test.en+test.de --against runs/small",
    "heedful evaluate runs/demo helpdesk:test --precision int8 --against runs/demo",
)


def command(
    model: Model,
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="Texts with right answers: file, folder, Hub id, or - for standard input."),
    ],
    against: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Another model, to be compared with on the same examples."),
    ] = None,
    source: SourceLanguage = None,
    target: TargetLanguage = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    target_column: TargetColumn = None,
    on_bad_row: BadRow = "error",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Save the report, its tables and pictures there."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, max=1_000_000, metavar="N", help="Bootstrap resamples behind the intervals; 0: none.")
    ] = 1000,
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
    """Measure a model on data whose answers are known: labels, translations or summaries.

    Metrics with their 95 % intervals; of a classifier also the classes that went worst, and what was taken for what.
    Against another model: the differences with their intervals, and how likely chance alone makes them.
    """
    from heedful.cli.console import report_console
    from heedful.cli.meter import Meter
    from heedful.data import OnBadRow
    from heedful.evaluation import evaluate
    from heedful.progress import ProgressBar
    from heedful.tasks import load

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
    rival = None if against is None else load(against, task=task.job, allow_pickle=allow_pickle, allow_code=allow_code)
    columns = renamed(task.card.columns, text=text_column, pair=pair_column, label=label_column, target=target_column)
    if source or target:
        columns = _in_one_language(task, columns, source, target)
    with ProgressBar("evaluating") as bar:
        evaluation = evaluate(
            task,
            data,
            against=rival,
            columns=columns,
            on_bad_row=OnBadRow(on_bad_row),
            resamples=resamples,
            tally=Meter(bar),
        )
    if as_json:
        typer.echo(evaluation.to_json(), nl=False)
    else:
        report_console().print(evaluation)
    if output:
        evaluation.save(output)


def _in_one_language(task: AnyTask, columns: Columns, source: str | None, target: str | None) -> Columns:
    """Tell ``task`` its languages; the rows then need not say them."""
    from heedful.errors import RequestError
    from heedful.tasks import TextToText

    if not isinstance(task, TextToText):
        raise RequestError("--from and --to are for models that write, and a classifier writes nothing")
    task.set_languages(source=source, target=target)
    return columns.model_copy(update={"target_language": None})
