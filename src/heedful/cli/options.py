"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from heedful.data import Columns
    from heedful.tasks import AnyTask

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text for people.")]
TextColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column with the text; the one of the training data if not given.")
]
PairColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column with the second text of a pair.")]
LabelColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column with the label.")]
TargetColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column with the text that should be written.")]
Job = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="JOB",
        help="What a checkpoint of others is to do: classification (as if not given), translation or summarization.",
    ),
]
TextsOrDocument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        show_default=False,
        help="Texts: .txt, one a line, or .csv, .tsv, .jsonl, .parquet with columns; or a document: .srt, .vtt, .md, "
        ".html. Standard input if not given.",
    ),
]
Form = Annotated[
    Literal["lines", "plain", "srt", "vtt", "markdown", "html"] | None,
    typer.Option(
        "--format",
        help="What FILE is: lines, a text each, whatever it is called; or a document. As the ending of its name says "
        "if not given.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write the answers there, as a whole when all are there; safe to stop."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an --output that was interrupted.")]
Beams = Annotated[
    int | None, typer.Option(min=1, max=64, metavar="N", help="Hypotheses to follow at a time; 1 is fastest.")
]
LongInput = Annotated[
    str | None, typer.Option(metavar="HOW", help="How long texts are read; the usual way of the job if not given.")
]
Shortlist = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Texts in the language that is written: only their tokens are, which is faster where the vocabulary is "
        "large. Answers may differ.",
    ),
]
SourceLanguage = Annotated[
    str | None, typer.Option("--from", metavar="LANGUAGE", help="Of the texts, in the codes of MODEL.")
]
TargetLanguage = Annotated[
    str | None, typer.Option("--to", metavar="LANGUAGE", help="To be written, in the codes of MODEL.")
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Folder of a run or of a checkpoint, or a name of the Hub: owner/name.")
]
Revision = Annotated[str | None, typer.Option(metavar="NAME", help="Branch, tag or commit of a model of the Hub.")]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Read pickled weights where there are no safetensors: numbers only.")
]
AllowCode = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Python file of a module of your own that MODEL needs; it is executed."),
]
Precision = Annotated[
    Literal["int8", "int8-weights", "bfloat16"] | None,
    typer.Option(
        help="Numbers to compute on: int8, integers, see heedful quantize; int8-weights, integers for weights alone; "
        "bfloat16, 16 bits. As stored if not given."
    ),
]
Engine = Annotated[
    Literal["eager", "openvino", "inductor", "auto"],
    typer.Option(
        help="What computes the network: PyTorch; OpenVINO, an extra; PyTorch's compiler, which takes minutes once; "
        "or the faster of the first two in a short trial."
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, max=1024, metavar="N", help="Processor threads in all; all cores if not given.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        metavar="N",
        help="How many work side by side and share the threads; as suits if not given.",
    ),
]
BadRow = Annotated[
    Literal["error", "skip"],
    typer.Option(help="What to do with a row that cannot be used: stop, or leave it out and count it."),
]


def renamed(columns: Columns, **given: str | None) -> Columns:
    """``columns`` with the names that were given on the command line."""
    return columns.model_copy(update={name: value for name, value in given.items() if value is not None})


def answering_task(
    model: str,
    *,
    threads: int | None = None,
    workers: int | None = None,
    shortlist: str | None = None,
    terms: Iterable[str] = (),
    **options: Any,
) -> AnyTask:
    """The task that is to answer, on so many threads; what its user should know of it is said.

    Args:
        shortlist: a source of texts whose tokens are written, of a task that writes.
        terms: that belong into a shortlist too.
        options: of :func:`heedful.load`.
    """
    import torch

    from heedful.inference import Workers as Side
    from heedful.tasks import load

    if threads is not None:
        torch.set_num_threads(threads)
    task = load(model, **options)
    task.workers = Side(count=workers)
    if shortlist is not None:
        from heedful.tasks.text_to_text.shortlist import read_texts

        columns = (task.card.columns.target, task.card.columns.text, "text")
        task.set_shortlist(chain(read_texts(shortlist, columns), terms))
    for note in task.notes:
        typer.echo(f"heedful: {note}", err=True)
    return task
