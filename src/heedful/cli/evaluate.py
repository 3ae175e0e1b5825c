"""``heedful evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heedful.cli.options import BadRow, Json, LabelColumn, PairColumn, TextColumn, renamed

NAME = "evaluate"


def command(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    data: Annotated[str, typer.Argument(help="Labelled data: file, folder, Hub id, or - for standard input.")],
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    on_bad_row: BadRow = "error",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report, tables and pictures.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples behind the intervals.")] = 1000,
    as_json: Json = False,
) -> None:
    """Measure a model on labelled data: metrics with intervals, classes, confusions.

    Example: heedful evaluate runs/banking77 test.jsonl.gz -o report/
    """
    from rich.console import Console

    from heedful.data import OnBadRow
    from heedful.evaluation import evaluate
    from heedful.tasks import load

    task = load(model)
    columns = renamed(task.card.columns, text_column, pair_column, label_column)
    evaluation = evaluate(task, data, columns=columns, on_bad_row=OnBadRow(on_bad_row), resamples=resamples)
    if output:
        evaluation.save(output)
    if as_json:
        typer.echo(evaluation.to_json(), nl=False)
    else:
        Console().print(evaluation)
