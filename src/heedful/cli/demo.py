"""``heedful demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "demo"

MESSAGES = (
    "where is my parcel, it should have been here on monday??",
    "I was charged twice for the same month, please give me my money back",
    "密码忘了，怎么也登录不上去",
)


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")] = Path("runs/demo"),
) -> None:
    """Train a classifier on the data set that ships with heedful, evaluate it and try it, in minutes."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from heedful.training import train

    console = Console()
    console.print("Training a support-message classifier from scratch, in English and Chinese (data set: helpdesk).\n")
    run = train("helpdesk", output=str(output), overwrite=True)
    console.print(run.evaluations["test"])
    table = Table(title="Three new messages", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in ("message", "label", "score"):
        table.add_column(column, header_style="dim")
    for message, answer in zip(MESSAGES, run.task.predict(MESSAGES), strict=True):
        table.add_row(Text(message), Text(answer.label or "-", style="bold"), f"{answer.score:.2f}")
    console.print(table)
    console.print(
        f"\nThe model is in {output}. What next:\n"
        f'  echo "my order arrived broken" | heedful predict {output}\n'
        f"  heedful evaluate {output} helpdesk:test\n"
        f"  heedful train helpdesk data.train=your.csv data.test=null output=runs/yours",
        highlight=False,
        markup=False,
    )
