"""``heedful explain``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heedful.cli.options import AllowCode, AllowPickle, Job, Json, Model, Revision, SourceLanguage, TargetLanguage

if TYPE_CHECKING:
    from heedful.explanation import Explanation, WrittenExplanation
    from heedful.tasks import AnyTask

NAME = "explain"
EXAMPLES = (
    'heedful explain runs/demo "my order arrived broken" -o why.html',
    'heedful explain runs/demo "my order arrived broken" --class refund --against delivery',
    'heedful explain runs/multi30k_en_de "A dog runs on the beach." -o why.html',
    'heedful explain runs/demo "first text" --beside "second text" -o both.html',
    "heedful explain runs/demo --faithfulness helpdesk:test",
)
STANDARD_INPUT = "-"
LABELS = 20
"""Labels that a report can be switched between."""


def command(
    model: Model,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT", help="What to explain the answer for, or - for standard input.", show_default=False
        ),
    ] = None,
    pair: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The second text, for a classifier of pairs.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", metavar="LABEL", help="Label to explain; the answer if not given.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Explain what speaks for the label and not for this one.")
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Translation or summary to explain; the one that MODEL writes if not given."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="contributions (exact, if not given), integrated_gradients, gradient_input, or leave_one_out.",
        ),
    ] = None,
    by_sentence: Annotated[
        bool, typer.Option("--by-sentence", help="Score sentences, not words: for long texts.")
    ] = False,
    beside: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Another text to show beside; may be given again.")
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option("--other-model", metavar="MODEL", help="Another model to show beside; may be given again."),
    ] = None,
    attention: Annotated[
        bool, typer.Option("--attention", help="Show in the report, too, where each layer and head looks.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Report (.html), data (.json) or picture (.svg, .png)."),
    ] = None,
    faithfulness: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Measure on DATA how far explanations can be trusted, and keep it in MODEL."),
    ] = None,
    heads: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Find out on DATA what each attention head is worth."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Texts of DATA that are used at most.")] = 500,
    source: SourceLanguage = None,
    target: TargetLanguage = None,
    job: Job = None,
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    allow_code: AllowCode = None,
    as_json: Json = False,
) -> None:
    """Show why a model answers what it answers: how much each word speaks for it.

    Scores are exact: those of all tokens and a bias sum to the logit. -o why.html makes a page that needs no network.
    With --faithfulness, no text is explained: what explanations of MODEL are worth is measured on texts.
    """
    from heedful.checkpoint.atomic import write_text
    from heedful.errors import RequestError
    from heedful.explanation.report import checked_ending
    from heedful.tasks import TextToText, load

    given = {"TEXT": text, "--faithfulness": faithfulness, "--heads": heads}
    asked = [name for name, value in given.items() if value is not None]
    if len(asked) != 1:
        raise RequestError(
            f"{' and '.join(asked)} are given" if asked else "there is nothing to explain",
            remedy="Give one of them: a text, --faithfulness DATA, or --heads DATA.",
        )
    if output is not None and checked_ending(output) != ".json" and text is None:
        raise RequestError(f"what is measured cannot be saved as {output}", remedy="End its name in .json.")
    if attention and output is None:
        raise RequestError("--attention is a part of a report, and none is asked for", remedy="Add -o why.html.")

    def loaded(place: str) -> AnyTask:
        task = load(place, task=job, revision=revision, allow_pickle=allow_pickle, allow_code=allow_code)
        if source or target:
            if not isinstance(task, TextToText):
                raise RequestError("--from and --to are for models that write, and a classifier writes nothing")
            task.set_languages(source=source, target=target)
        return task

    task = loaded(model)
    if text is None:
        found = _measured(task, Path(model), faithfulness, heads, limit)
        if output is not None:
            write_text(output, found.to_json())
        _print([found], as_json)
        return
    options = _Options(label, against, answer, method, by_sentence, report=output is not None)
    whole = sys.stdin.read().strip() if text == STANDARD_INPUT else text
    shown = [(f"{model}: {one:.60}", options.explain(task, one, pair)) for one in [whole, *(beside or [])]]
    shown += [(f"{place}: {whole:.60}", options.explain(loaded(place), whole, pair)) for place in other or []]
    if output is not None:
        _save(output, shown + (_views(task, whole, answer) if attention else []))
    _print([explanation for _, explanation in shown], as_json)


@dataclass(frozen=True)
class _Options:
    """What is asked of each explanation."""

    label: str | None
    against: str | None
    answer: str | None
    method: str | None
    by_sentence: bool
    report: bool
    """Whether what only a report shows is wanted."""

    def explain(self, task: AnyTask, text: str, pair: str | None) -> Explanation | WrittenExplanation:
        """Explain the answer of ``task``, as far as the options suit its job."""
        from heedful.errors import RequestError
        from heedful.explanation import explain
        from heedful.tasks import TextClassifier

        classifies = isinstance(task, TextClassifier)
        labels = {"--class": self.label, "--against": self.against, "--pair": pair}
        unfit = {"--answer": self.answer} if classifies else labels
        for name, value in unfit.items():
            if value:
                raise RequestError(
                    f"{name} is for models that {'write' if classifies else 'classify'}, and this one does {task.job}",
                    remedy="Leave it out.",
                )
        if classifies:
            shown: dict[str, Any] = {"labels": LABELS if self.report else 0, "verify": True}
            return explain(
                task,
                text if pair is None else (text, pair),
                target=self.label,
                against=self.against,
                method=self.method,
                by_sentence=self.by_sentence,
                **shown,
            )
        return explain(task, text, target=self.answer, method=self.method, by_sentence=self.by_sentence)


def _views(task: AnyTask, text: str, answer: str | None) -> list[tuple[str, Any]]:
    """Where attention goes, in each way that the model has."""
    from heedful.explanation.attention import views

    return [(f"attention: {view.kind}", view) for view in views(task, text, answer=answer)]


def _save(output: Path, shown: list[tuple[str, Any]]) -> None:
    from heedful.explanation.report import save

    names = [name for name, _ in shown]
    first, *others = [explanation for _, explanation in shown]
    save(first, output, *others, names=names if others else ())


def _measured(task: AnyTask, folder: Path, faithfulness: str | None, heads: str | None, limit: int) -> Any:
    """What is found out on data; faithfulness is kept in the model's folder."""
    from heedful.checkpoint.atomic import write_text
    from heedful.cli.meter import Meter
    from heedful.data import ExampleStore
    from heedful.errors import UnsupportedError
    from heedful.explanation import measure_faithfulness, weigh_heads
    from heedful.progress import ProgressBar
    from heedful.tasks import TextClassifier

    if heads is not None:
        with ExampleStore(islice(task.read(heads), limit)) as store:
            return weigh_heads(task, store)
    if not isinstance(task, TextClassifier):
        raise UnsupportedError("faithfulness is measured for classifiers", remedy="Give a classifier.")
    assert faithfulness is not None
    with ProgressBar("measuring") as bar:
        found = measure_faithfulness(task, faithfulness, limit=limit, tally=Meter(bar))
    if (folder / "task.json").is_file():
        kept = {method: found.scores(method) for method in found.seconds}
        task.card = task.card.model_copy(update={"faithfulness": kept})
        write_text(folder / "task.json", task.card.model_dump_json(indent=2) + "\n")
    return found


def _print(found: list[Any], as_json: bool) -> None:
    """Several as a list of JSON."""
    from heedful.cli.console import report_console

    if as_json:
        texts = [one.to_json().strip() for one in found]
        typer.echo(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    else:
        for one in found:
            report_console().print(one)
