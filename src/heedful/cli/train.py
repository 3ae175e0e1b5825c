"""``heedful train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from heedful.cli.options import Json

if TYPE_CHECKING:
    from heedful.training import Run

NAME = "train"
VERBS = {"translation": "translate", "summarization": "summarize"}
"""What a job is tried with, if not with predict."""
EXAMPLES = (
    "heedful train helpdesk",
    "heedful train helpdesk training.epochs=3 output=runs/short",
    "heedful train banking77 data.train=train.jsonl.gz data.test=test.jsonl.gz",
    "heedful train multi30k_en_de data.train=train.en+train.de data.validation=val.en+val.de",
    "heedful train my-recipe.yaml seed=2 overwrite=true",
)


def command(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a recipe that ships with heedful.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Fields of the recipe to change; values are YAML."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model as a recipe says: to classify, to translate or to summarize.

    The best state, the tables and the pictures of its evaluation are kept in the recipe's output folder. Ctrl-C
    stops after the current step and keeps the last state.
    """
    from heedful.cli.console import report_console, typed
    from heedful.training import parse_overrides, train

    run = train(recipe, **parse_overrides(overrides or []))
    if as_json:
        typer.echo(run_as_json(run))
        return
    console = report_console()
    for name, evaluation in run.evaluations.items():
        console.print(f"\n[bold]On the {name} data[/bold]")
        console.print(evaluation)
    code = [] if run.task.module is None else ["--allow-code", run.task.module.file]
    verb = VERBS.get(run.task.job, "predict")
    typer.echo(f"Saved in {run.folder}. Try it:\n  {typed(verb, run.folder, *code)}")


def run_as_json(run: Run) -> str:
    """What a run left, as one JSON object."""
    import json
    from dataclasses import asdict

    evaluations = {name: asdict(evaluation) for name, evaluation in run.evaluations.items()}
    return json.dumps(
        {
            "folder": str(run.folder),
            "steps": run.state.step,
            "best_step": run.state.best_step,
            "evaluations": evaluations,
        },
        ensure_ascii=False,
    )
