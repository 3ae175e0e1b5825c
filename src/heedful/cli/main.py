"""``heedful``: one verb a file; a verb's heavy imports happen inside it, so that --help is instant."""

from __future__ import annotations

import sys

import typer

from heedful import __version__
from heedful.cli import demo, evaluate, predict, train
from heedful.errors import HeedfulError

INTERRUPTED = 130

app = typer.Typer(
    name="heedful",
    help="Transformers that pay attention, and show you where.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (train, evaluate, predict, demo):
    app.command(verb.NAME)(verb.command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"heedful {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Transformers that pay attention, and show you where."""


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 the job failed, 2 the request was wrong, 130 interrupted, 143 stopped by SIGTERM.
    """
    try:
        app()
    except HeedfulError as error:
        typer.echo(f"heedful: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("heedful: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output closed it (`heedful predict … | head`): that is no failure.
        sys.stderr.close()
        sys.exit(0)
