"""``heedful doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from heedful.cli.options import AllowPickle, Json, Revision

if TYPE_CHECKING:
    from rich.console import Console

    from heedful.families import Diagnosis

NAME = "doctor"
EXAMPLES = (
    "heedful doctor runs/demo",
    "heedful doctor downloads/bert-base --json > diagnosis.json",
    "heedful doctor owner/name --revision v1.0",
)
MARKS = {"error": ("✗", "bold red"), "warning": ("!", "bold yellow"), "note": ("·", "dim")}
VERDICTS = {True: ("Healthy.", "bold green"), False: ("Not healthy.", "bold red")}


def command(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT", help="Folder of a run or of a checkpoint, or a name of the Hub: owner/name."
        ),
    ],
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    as_json: Json = False,
) -> None:
    """Say what a checkpoint is and what is wrong with it, without running it.

    Family, shapes, tokenizer, head and labels; what is missing, unexpected or misshapen, the likely cause and what
    would mend it; values that are no numbers; layers that look untrained. Exit code 0: healthy, 1: not.
    """
    from heedful.cli.console import report_console
    from heedful.families import diagnose
    from heedful.progress import ProgressBar

    with ProgressBar("reading") as bar:
        diagnosis = diagnose(
            checkpoint,
            revision=revision,
            allow_pickle=allow_pickle,
            progress=lambda done, total: bar.update(done, total, f"{done / 1e6:,.0f} of {total / 1e6:,.0f} M values"),
        )
    if as_json:
        typer.echo(diagnosis.to_json(), nl=False)
    else:
        _print(diagnosis, report_console())
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _print(diagnosis: Diagnosis, console: Console) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from heedful.evaluation.lettering import printable

    def lines(text: str, style: str = "") -> Text:
        # A stranger's names must neither steer the terminal nor be taken for markup.
        return Text("\n".join(map(printable, text.splitlines())), style=style)

    console.print(lines(f"{diagnosis.folder}: {diagnosis.what}", "bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for part, description in diagnosis.parts.items():
        table.add_row(part, lines(description))
    console.print(Padding(table, (0, 0, 0, 2)))
    for finding in diagnosis.findings:
        mark, style = MARKS[finding.severity.value]
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(mark, style=style), lines(finding.what))
        for arrow, text in (("", finding.cause), ("→", finding.remedy)):
            if text:
                grid.add_row("", lines(f"{arrow} {text}".lstrip(), "" if arrow else "dim"))
        console.print()
        console.print(grid)
    verdict, style = VERDICTS[diagnosis.healthy]
    console.print()
    console.print(Text(verdict, style=style))
