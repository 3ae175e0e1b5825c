"""``heedful convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from heedful.cli.options import AllowPickle, Json, Revision

NAME = "convert"
EXAMPLES = (
    "heedful convert runs/reviews exports/reviews --to huggingface",
    "heedful convert owner/name models/name --to heedful",
    "heedful convert runs/banking77 exports/banking77 --to onnx",
    "heedful convert runs/reviews exports/small --to huggingface --dtype float16 --shard-size 500MB",
)


def command(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Folder of a model, ours or foreign, or a name of the Hub: owner/name."),
    ],
    destination: Annotated[Path, typer.Argument(metavar="DESTINATION", help="Folder to write: new, or empty.")],
    to: Annotated[Literal["huggingface", "heedful", "onnx"], typer.Option(help="Form to write the model in.")],
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None, typer.Option(help="Of the weights; as stored if not given.")
    ] = None,
    shard_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Largest weight file, such as 2GB; all in one if not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in DESTINATION.")] = False,
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    as_json: Json = False,
) -> None:
    """Write a model in another form.

    A run of ours that began as a checkpoint becomes a folder that Hugging Face's transformers load; a foreign
    checkpoint becomes a folder of ours; a classifier becomes an ONNX file (an extra), which engines of many languages
    run. Nothing is changed in SOURCE, and DESTINATION is complete or not there.
    """
    import torch

    from heedful.progress import ProgressBar
    from heedful.tasks import ConversionOptions, convert, parse_size

    options = ConversionOptions(
        dtype=None if dtype is None else getattr(torch, dtype),
        max_shard_bytes=None if shard_size is None else parse_size(shard_size),
        overwrite=overwrite,
    )
    with ProgressBar("converting") as bar:
        bar.update(0, None, source)
        done = convert(source, destination, to=to, options=options, revision=revision, allow_pickle=allow_pickle)
        for note in done.notes:
            bar.say(f"heedful: {note}")
    if as_json:
        typer.echo(done.to_json(), nl=False)
        return
    typer.echo(
        f"{done.folder}: {done.what}, {done.parameters:,} parameters, {', '.join(done.dtypes)}, "
        f"{'1 file' if len(done.files) == 1 else f'{len(done.files)} files'}: {', '.join(done.files)}"
    )
