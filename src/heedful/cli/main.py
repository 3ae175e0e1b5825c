"""``heedful``: one verb a file; a verb's heavy imports happen inside it, so that --help is instant."""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from heedful import __version__
from heedful.cli import (
    bench,
    convert,
    demo,
    doctor,
    evaluate,
    explain,
    families,
    predict,
    quantize,
    summarize,
    train,
    translate,
)
from heedful.errors import HeedfulError

INTERRUPTED = 130
VERBS = (train, evaluate, predict, translate, summarize, explain, quantize, bench, doctor, convert, families, demo)

app = typer.Typer(
    name="heedful",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Exit codes: 0 done, 1 the job failed, 2 the request was wrong, 130 interrupted, 143 stopped by SIGTERM.",
)


def _guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """``verb`` with its expected failures turned into a message and an exit code."""

    @functools.wraps(verb)
    def run(*args: Any, **options: Any) -> None:
        try:
            verb(*args, **options)
            sys.stdout.flush()
        except HeedfulError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has enough (`heedful predict … | head`): no failure. What is still in the
            # buffer goes nowhere, or Python would complain about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)

    return run


def _fail(message: str, code: int) -> None:
    typer.echo(f"heedful: {message}", err=True)
    raise typer.Exit(code)


for module in VERBS:
    examples = "\n".join(f"  {example}" for example in module.EXAMPLES)
    app.command(module.NAME, epilog=f"\b\nExamples:\n{examples}")(_guarded(module.command))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"heedful {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Transformers that pay attention, and show you where.

    Train a text classifier on your own data, measure it, and let it answer. New here? Type: heedful demo
    """


def main() -> None:
    """Run the command line; the exit codes are those that ``heedful --help`` lists."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its number: an answer is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    app()
