"""``heedful bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heedful.cli.options import (
    AllowCode,
    AllowPickle,
    Job,
    Json,
    Model,
    Revision,
    TextColumn,
    Threads,
    answering_task,
    renamed,
)

if TYPE_CHECKING:
    from heedful.tasks.bench import Left, Measured, Way

NAME = "bench"
EXAMPLES = (
    "heedful bench runs/demo",
    "heedful bench runs/banking77 test.jsonl.gz --threads 4 --json",
)
LEAST_SECONDS = 0.1


def command(
    model: Model,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", show_default=False, help="Texts like those to come; messages to a helpdesk if not given."
        ),
    ] = None,
    text_column: TextColumn = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Texts of DATA, evenly spread.")] = 500,
    seconds: Annotated[
        float, typer.Option(min=LEAST_SECONDS, metavar="S", help="For which each way is measured, about.")
    ] = 6.0,
    threads: Threads = None,
    job: Job = None,
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    allow_code: AllowCode = None,
    as_json: Json = False,
) -> None:
    """Measure how fast a model answers here, and which engine, precision and number of workers are best.

    Each way is measured in a process of its own: many texts together, one text at a time, memory, and the time until it
    can answer. Padding is what was computed in vain; of limit is the share of what the machine's products of matrices
    reach.
    """
    import torch

    from heedful.progress import ProgressBar
    from heedful.tasks.bench import bench, ways_of

    options: dict[str, Any] = {
        "task": job,
        "revision": revision,
        "allow_pickle": allow_pickle,
        "allow_code": allow_code,
    }
    task = answering_task(model, threads=threads, **options)
    threads = torch.get_num_threads()
    texts = _texts(task, data, text_column, limit)
    ways = list(ways_of(task, Path(model), threads))
    found: list[Measured | Left] = []
    with ProgressBar("measuring") as bar:
        for one in bench(model, ways, texts, threads=threads, seconds=seconds, **options):
            found.append(one)
            bar.update(len(found), len(ways), _name(one.way))
    _print(found, len(texts), threads, as_json=as_json)


def _texts(task: Any, data: str | None, text_column: str | None, limit: int) -> list[str]:
    from heedful.data import ExampleStore, LabelKind, read_examples
    from heedful.errors import DataError
    from heedful.tasks.speed import some_texts

    if data is None:
        return some_texts()[:limit]
    columns = renamed(task.card.columns, text=text_column)
    with ExampleStore(read_examples(data, columns, label_kind=LabelKind.NONE)) as store:
        texts = [example.text for example in store.spread(limit) if example.text]
    if not texts:
        raise DataError(f"{data} holds no text to answer")
    return texts


def _print(found: list[Measured | Left], num_texts: int, threads: int, *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from heedful.cli.console import report_console
    from heedful.errors import JobError
    from heedful.tasks.bench import Left, Measured

    measured = [one for one in found if isinstance(one, Measured)]
    left = [one for one in found if isinstance(one, Left)]
    if not measured:
        raise JobError("\n".join(f"{_name(one.way)}: {one.why}" for one in left))
    best = {
        "many texts": max(measured, key=lambda one: one.speed.texts_per_second).way,
        "one text at a time": min(measured, key=lambda one: one.speed.latency).way,
    }
    if as_json:
        record = {
            "texts": num_texts,
            "threads": threads,
            "measured": [asdict(one) for one in measured],
            "left_out": [asdict(one) for one in left],
            "best": {purpose: asdict(way) for purpose, way in best.items()},
        }
        typer.echo(json.dumps(record, indent=2))
        return
    report_console().print(_table(measured, num_texts, threads))
    for one in left:
        typer.echo(f"{_name(one.way)} is left out: {one.why}")
    for purpose, way in best.items():
        typer.echo(f"best for {purpose}: {_options(way)}")


def _table(measured: list[Measured], num_texts: int, threads: int) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"{num_texts:,} texts, threads: {threads}", title_justify="left"
    )
    for head in ("engine", "numbers", "workers"):
        table.add_column(head, no_wrap=True)
    heads = ("texts/s", "tokens/s", "padding", "of limit", "one text, ms", "95 %, ms", "memory, MB", "start, s")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for one in sorted(measured, key=lambda one: -one.speed.texts_per_second):
        way, speed = one.way, one.speed
        table.add_row(
            way.engine,
            way.precision or "as stored",
            str(way.workers or "-"),
            f"{speed.texts_per_second:,.1f}",
            f"{speed.tokens_per_second:,.0f}",
            f"{speed.padding_share:.1%}",
            "-" if one.of_limit is None else f"{one.of_limit:.0%}",
            f"{speed.latency * 1000:.1f}",
            f"{speed.latency_p95 * 1000:.1f}",
            "-" if one.peak_memory is None else f"{one.peak_memory / 1e6:,.0f}",
            f"{one.start_seconds:.1f}",
        )
    return table


def _name(way: Way) -> str:
    workers = "" if way.workers is None else f", workers: {way.workers}"
    return f"{way.engine}, {way.precision or 'numbers as stored'}{workers}"


def _options(way: Way) -> str:
    """As they are typed."""
    given = {"--engine": way.engine, "--precision": way.precision, "--workers": way.workers}
    return " ".join(f"{name} {value}" for name, value in given.items() if value is not None)
