"""``heedful quantize``."""

from __future__ import annotations

from typing import Annotated

import typer

from heedful.cli.options import BadRow, Job, Json, LabelColumn, PairColumn, TargetColumn, TextColumn, renamed

NAME = "quantize"
EXAMPLES = (
    "heedful quantize runs/banking77 --calibrate dev.jsonl.gz",
    "heedful quantize runs/multi30k_en_de --calibrate val.jsonl.gz --limit 300",
)


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a run or of a checkpoint.")],
    data: Annotated[
        str,
        typer.Option(
            "--calibrate", metavar="DATA", help="Texts with right answers, which the model has not learnt from."
        ),
    ],
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Examples of DATA to measure by, evenly spread.")
    ] = 1000,
    tolerance: Annotated[
        float, typer.Option(min=0, metavar="POINTS", help="What the model's own metric may lose.")
    ] = 0.3,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    target_column: TargetColumn = None,
    on_bad_row: BadRow = "error",
    job: Job = None,
    as_json: Json = False,
) -> None:
    """Round a model to 8-bit integers, which processors multiply several times as fast.

    They are kept in MODEL beside its weights, which stay as they are, and used with --precision int8. The model's own
    metric is measured before and after: where it loses more than the tolerance, the parts that suffer most are left as
    they are until it does not.
    """
    from heedful.cli.meter import Meter
    from heedful.data import OnBadRow
    from heedful.metrics import readable
    from heedful.progress import ProgressBar
    from heedful.tasks import load, quantize

    task = load(model, task=job)
    columns = renamed(task.card.columns, text=text_column, pair=pair_column, label=label_column, target=target_column)
    with ProgressBar("quantizing") as bar:
        done = quantize(
            task,
            data,
            columns=columns,
            on_bad_row=OnBadRow(on_bad_row),
            limit=limit,
            tolerance=tolerance,
            tally=Meter(bar),
        )
    if as_json:
        typer.echo(done.to_json(), nl=False)
        return
    before, after = done.shown
    typer.echo(f"{done.file}: {done.rounded} linear maps on 8-bit integers")
    typer.echo(f"{readable(done.metric)} {before} before, {after} after, by {done.examples:,} examples")
    if done.kept:
        typer.echo(f"left as they are: {', '.join(done.kept)}")
