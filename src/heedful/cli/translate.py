"""``heedful translate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heedful.cli.options import (
    AllowPickle,
    BadRow,
    Beams,
    Engine,
    Form,
    Json,
    LongInput,
    Model,
    Output,
    Precision,
    Resume,
    Revision,
    Shortlist,
    SourceLanguage,
    TargetLanguage,
    TextColumn,
    TextsOrDocument,
    Threads,
    Workers,
    answering_task,
    renamed,
)

if TYPE_CHECKING:
    from heedful.tasks import Translator
    from heedful.tasks.text_to_text.memory import TranslationMemory

NAME = "translate"
EXAMPLES = (
    'echo "A dog runs." | heedful translate runs/multi30k_en_de',
    "heedful translate runs/multi30k_en_de page.html > seite.html",
    "heedful translate runs/multi30k_en_de film.en.srt --output film.de.srt",
    "heedful translate runs/multi30k_en_de a.txt --glossary terms.tsv --memory old.tsv",
    "heedful translate facebook/nllb-200-distilled-600M a.txt --to deu_Latn",
)


def command(
    model: Model,
    data: TextsOrDocument = "-",
    source: SourceLanguage = None,
    target: TargetLanguage = None,
    beams: Beams = None,
    glossary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Terms and how each is translated: .tsv, .csv, .jsonl or .json."),
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Earlier translations, used again: .tsv, .csv, .jsonl or .tmx."),
    ] = None,
    shortlist: Shortlist = None,
    long_input: LongInput = None,
    form: Form = None,
    output: Output = None,
    resume: Resume = False,
    text_column: TextColumn = None,
    on_bad_row: BadRow = "error",
    precision: Precision = None,
    engine: Engine = "eager",
    threads: Threads = None,
    workers: Workers = None,
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    as_json: Json = False,
) -> None:
    """Translate texts, one a line, or a document, whose structure comes back intact.

    Of subtitles, Markdown and HTML only what people read is translated: time codes, numbering, tags, code and
    addresses stay as they are.
    """
    from heedful.cli.answering import Work, answer_all
    from heedful.tasks import Translator
    from heedful.tasks.text_to_text.glossary import Glossary
    from heedful.tasks.text_to_text.memory import TranslationMemory
    from heedful.tasks.text_to_text.options import AnswerOptions

    terms = Glossary.read(glossary) if glossary else Glossary()
    task = answering_task(
        model,
        threads=threads,
        workers=workers,
        shortlist=shortlist,
        terms=[term.target for term in terms.terms],
        task=Translator.job,
        revision=revision,
        allow_pickle=allow_pickle,
        precision=precision,
        engine=engine,
    )
    if source or target:
        task.set_languages(source=source, target=target)
    options = AnswerOptions(
        generation={"num_beams": beams} if beams else {},
        long_input=long_input,
        glossary=terms,
        memory=_read_memory(memory, task) if memory else TranslationMemory(),
    )
    columns = renamed(task.card.columns, text=text_column)
    answer_all(task, Work(data, columns, on_bad_row, form, output, resume, as_json, options=options))


def _read_memory(path: Path, task: Translator) -> TranslationMemory:
    """A memory; what its sides are called in a TMX file, the languages say."""
    from heedful.data import Columns
    from heedful.tasks.text_to_text.memory import SIDES, TranslationMemory

    card, columns = task.card, SIDES
    if ".tmx" in path.suffixes:
        columns = Columns(
            text=card.source_language or card.columns.text, target=card.target_language or card.columns.target
        )
    return TranslationMemory.read(str(path), columns)
