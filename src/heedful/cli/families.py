"""``heedful families``."""

from __future__ import annotations

import json

import typer

from heedful.cli.options import Json

NAME = "families"
EXAMPLES = ("heedful families", "heedful families --json")


def command(as_json: Json = False) -> None:
    """List the checkpoint families that heedful reads and writes.

    A checkpoint is of the family that model_type in its config.json names. Options that are not supported are refused
    by name, never ignored.
    """
    from dataclasses import asdict

    from heedful.families import family_rows

    rows = family_rows()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False))
        return
    from rich import box
    from rich.table import Table

    from heedful.cli.console import report_console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("family", style="bold", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("jobs")
    table.add_column("options refused", style="dim", overflow="fold")
    for row in rows:
        table.add_row(row.family, row.kind, ", ".join(row.jobs), "; ".join(row.refused))
    report_console().print(table)
