"""``heedful train``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from heedful.cli.options import Json

NAME = "train"


def command(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Fields of the recipe, such as training.epochs=3."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model as a recipe says; the best state is kept in the recipe's output folder.

    Example: heedful train recipes/banking77.yaml data.train=train.jsonl.gz data.test=test.jsonl.gz
    """
    from rich.console import Console

    from heedful.training import parse_overrides, train

    run = train(recipe, **parse_overrides(overrides or []))
    if as_json:
        found = {name: json.loads(evaluation.to_json()) for name, evaluation in run.evaluations.items()}
        typer.echo(json.dumps({"folder": str(run.folder), "steps": run.state.step, "evaluations": found}))
        return
    console = Console()
    for name, evaluation in run.evaluations.items():
        console.print(f"\n[bold]On the {name} data[/bold]")
        console.print(evaluation)
    console.print(f"\nSaved in {run.folder}. Try it: heedful predict {run.folder} FILE", highlight=False)
