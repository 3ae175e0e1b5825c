"""``heedful demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heedful.cli.options import Json

NAME = "demo"
EXAMPLES = ("heedful demo", "heedful demo --output my-first-model")

DEFAULT_OUTPUT = Path("runs/demo")
MESSAGES = (
    "where is my parcel, it should have been here on monday??",
    "I was charged twice for the same month, please give me my money back",
    "密码忘了，怎么也登录不上去",
)


def command(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the run; only the default is replaced.")
    ] = DEFAULT_OUTPUT,
    as_json: Json = False,
) -> None:
    """Train, measure and try a classifier, in minutes.

    It learns to sort support messages in English and Chinese from the data set that ships with heedful.
    """
    from heedful.cli.console import report_console, typed
    from heedful.cli.train import run_as_json
    from heedful.explanation import explain
    from heedful.tasks import TextClassifier
    from heedful.training import train

    console = report_console()
    if not as_json:
        console.print("Training a classifier of support messages, English and Chinese, from scratch.\n")
    run = train("helpdesk", output=str(output), overwrite=output == DEFAULT_OUTPUT)
    if as_json:
        typer.echo(run_as_json(run))
        return
    console.print(run.evaluations["test"])
    console.print("[bold]Three new messages[/bold]")
    assert isinstance(run.task, TextClassifier)
    for message, answer in zip(MESSAGES, run.task.predict(MESSAGES), strict=True):
        console.print(f"  [bold]{answer.label or '-'}[/bold]  {answer.score:.2f}  {message}", highlight=False)
    console.print("\n[bold]Why the second one?[/bold]")
    console.print(explain(run.task, MESSAGES[1]))
    own = output.with_name(f"{output.name}-2")
    typer.echo(
        f"\nThe model is in {output}. What next:\n"
        f'  echo "my order arrived broken" | {typed("predict", output)}\n'
        f"  {typed('evaluate', output, 'helpdesk:test')}\n"
        f"  {typed('explain', output, 'my order arrived broken', '-o', 'why.html')}\n"
        "Train again, or on data of yours: put your file (columns text and label) in place of helpdesk:train\n"
        f"  {typed('train', 'helpdesk', 'data.train=helpdesk:train', f'output={own}')}"
    )
