"""Answers for texts and documents: what predict, translate and summarize share."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import typer

from heedful.cli.journal import Journal
from heedful.cli.meter import Meter
from heedful.data import Columns, Example, LabelKind, OnBadRow, Source, read_examples
from heedful.data.documents import Document, document_format, open_document
from heedful.data.source import STANDARD_INPUT, Format
from heedful.errors import RequestError
from heedful.evaluation.lettering import printable
from heedful.progress import ProgressBar
from heedful.tasks import AnyTask, Classification, TextAnswer, TextToText, Translator
from heedful.tasks.identity import identity
from heedful.tasks.text_to_text.options import AnswerOptions

SCREENFUL, BULK, WRITTEN_AT_ONCE = 32, 4096, 256
"""Texts to read ahead: more of them save padding, fewer save waiting, or work that an interruption undoes."""
LINES = "lines"


@dataclass(frozen=True)
class Work:
    """What is to be answered, and how."""

    data: str
    columns: Columns
    on_bad_row: str = "error"
    form: str | None = None
    """A format of documents, or lines; what the name of the file tells if not given."""
    output: Path | None = None
    resume: bool = False
    as_json: bool = False
    top: int = 5
    options: AnswerOptions = field(default_factory=AnswerOptions)
    """Of a task that writes."""


def answer_all(task: AnyTask, work: Work) -> None:
    """Answer all texts of a source, or a document, on standard output or into a file.

    Raises:
        RequestError: the source, the document or the file cannot be used.
    """
    if work.resume and work.output is None:
        raise RequestError("--resume goes on with a file", remedy="Name it with --output.")
    document = _document(task, work)
    reader = None
    if document is None:
        kind, policy = LabelKind.NONE, OnBadRow(work.on_bad_row)
        source = Source.parse(work.data, format=Format.TEXT if work.form == LINES else None)
        reader = read_examples(source, work.columns, label_kind=kind, on_bad_row=policy)
    examples: Iterable[Example] = reader if reader is not None else _examples(task, document)
    to_terminal = work.output is None and sys.stdout.isatty()
    fill = document if isinstance(task, Translator) and not work.as_json else None
    with ProgressBar("predicting", shown=not to_terminal) as bar, _journal(task, work, fill) as journal:
        meter, read_ahead, told = Meter(bar), _read_ahead(task, work, to_terminal=to_terminal), _Told()
        if read_ahead == 1:
            bar.say("heedful: type a text and press Enter; Ctrl-D ends")
        if journal is not None:
            if journal.is_finished(examples):
                bar.say(f"heedful: {work.output} is complete: nothing is left to do")
                return
            examples = journal.remaining(examples)
        options = {"options": work.options} if isinstance(task, TextToText) else {}
        answered = task.predict_stream(examples, look_ahead=read_ahead, tally=meter, **options)
        lines = ((example, told.line(example, answer, work, fill=fill)) for example, answer in answered)
        if journal is None:
            for part in _content((line for _, line in lines), fill):
                typer.echo(part, nl=False)
        else:
            _into(journal, lines, fill, bar)
        bad = reader.bad_rows.notes if reader is not None else ()
        for note in (*bad, *work.options.memory.notes, *told.notes(task, work), meter.summary):
            bar.say(f"heedful: {note}")


def _document(task: AnyTask, work: Work) -> Document | None:
    """The document that is to be answered; None for texts one by one."""
    form = work.form or (document_format(work.data) if isinstance(task, TextToText) else None)
    if form in (None, LINES):
        return None
    if not isinstance(task, TextToText):
        raise RequestError(f"a document ({form}) can be translated or summarized, not classified")
    return open_document(work.data, form)


def _examples(task: AnyTask, document: Document | None) -> list[Example]:
    """A document's segments to a translator, all of its text to a summarizer."""
    assert document is not None
    texts = document.segments if isinstance(task, Translator) else (document.text,)
    return [Example(text, None, (), number) for number, text in enumerate(texts, 1)]


def _content(answers: Iterable[str], document: Document | None) -> Iterator[str]:
    """What the answers make: a document, or a line each."""
    if document is not None:
        yield document.fill(list(answers))
    else:
        yield from (f"{answer}\n" for answer in answers)


def _journal(task: AnyTask, work: Work, fill: Document | None) -> Journal | nullcontext[None]:
    if work.output is None:
        return nullcontext()
    listed = sorted(getattr(task, "shortlist", None) or ())
    settings = repr((task.card, work.options, work.as_json, work.top, work.form, listed))
    made_by = {"model": identity(task), "settings": _digest(settings)}
    if fill is not None:  # what stands around its segments is part of the answer
        made_by["document"] = _digest(fill.fill(fill.segments))
    return Journal(work.output, made_by, resume=work.resume)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _into(journal: Journal, lines: Iterable[tuple[Example, str]], document: Document | None, bar: ProgressBar) -> None:
    """Write answers where nothing can undo them, and when all are there, the file."""
    if journal.count:
        bar.say(f"heedful: {journal.count:,} texts were answered before")
    try:
        for example, line in lines:
            journal.add(example, line)
    except KeyboardInterrupt:
        bar.say(f"heedful: {journal.count:,} answers are kept in {journal.path}; --resume goes on")
        raise
    journal.finish(_content(journal.answers, document))


def _read_ahead(task: AnyTask, work: Work, *, to_terminal: bool) -> int:
    """Texts to read before the first answer: one where they are typed, few where answers are awaited."""
    if work.data == STANDARD_INPUT and sys.stdin.isatty():
        return 1
    if to_terminal:
        return SCREENFUL
    return WRITTEN_AT_ONCE if isinstance(task, TextToText) else BULK


@dataclass
class _Told:
    """What there is to say about all answers together."""

    cut: int = 0
    windowed: int = 0
    blank: int = 0
    unfinished: int = 0
    doubtful: int = 0

    def line(self, example: Example, answer: Classification | TextAnswer, work: Work, *, fill: Document | None) -> str:
        """An answer as a line of output, or as what fills a document; it is counted."""
        self.cut += answer.cut_tokens > 0
        self.windowed += getattr(answer, "windows", 1) > 1
        self.blank += not example.text
        self.unfinished += not getattr(answer, "is_complete", True)
        self.doubtful += bool(getattr(answer, "warnings", ()))
        if isinstance(answer, TextAnswer):
            if work.as_json:
                return json.dumps(asdict(answer), ensure_ascii=False)
            return printable_lines(answer.text) if fill is not None else one_line(answer.text)
        return _as_json(answer, work.top) if work.as_json else _as_text(example.text, answer)

    def notes(self, task: AnyTask, work: Work) -> Iterator[str]:
        """What went otherwise than a user may think, a line each."""
        length = task.card.max_length
        if self.blank:
            yield f"{self.blank:,} blank lines have no text, and so no answer"
        if self.cut:
            yield f"{self.cut:,} texts were cut to {length} tokens"
        if self.windowed:
            yield f"{self.windowed:,} texts were read in windows of {length} tokens"
        if self.unfinished:
            longest = work.options.generation.get("max_new_tokens", task.card.generation.max_new_tokens)
            yield f"{self.unfinished:,} answers were ended at {longest} tokens"
        if self.doubtful:
            yield f"{self.doubtful:,} answers have warnings; --json tells them"


def _as_json(answer: Classification, top: int) -> str:
    record: dict[str, Any] = {
        "label": answer.label,
        "labels": list(answer.labels),
        "score": answer.score,
        "scores": dict(list(answer.scores.items())[:top]),
        "cut_tokens": answer.cut_tokens,
        "windows": answer.windows,
    }
    return json.dumps(record, ensure_ascii=False)


def _as_text(text: str, answer: Classification) -> str:
    # A stranger's text must neither steer the terminal nor break the line.
    shown = ",".join(map(printable, answer.labels)) or "-"
    return f"{shown}\t{answer.score:.3f}\t{one_line(text)}"


def printable_lines(text: str) -> str:
    """``text`` without what moves or colours a line."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(text: str) -> str:
    """``text`` without what moves, colours or breaks a line."""
    return " ".join(printable(text).split())
