"""``heedful translate``."""

from __future__ import annotations

from heedful.cli.options import (
    AllowPickle,
    BadRow,
    Beams,
    Form,
    Json,
    Model,
    Output,
    Resume,
    Revision,
    SourceLanguage,
    TargetLanguage,
    TextColumn,
    TextsOrDocument,
    renamed,
)

NAME = "translate"
EXAMPLES = (
    'echo "A dog runs." | heedful translate runs/multi30k_en_de',
    "heedful translate runs/multi30k_en_de page.html > seite.html",
    "heedful translate runs/multi30k_en_de film.en.srt --output film.de.srt",
    "heedful translate facebook/nllb-200-distilled-600M a.txt --to deu_Latn",
)


def command(
    model: Model,
    data: TextsOrDocument = "-",
    source: SourceLanguage = None,
    target: TargetLanguage = None,
    beams: Beams = None,
    form: Form = None,
    output: Output = None,
    resume: Resume = False,
    text_column: TextColumn = None,
    on_bad_row: BadRow = "error",
    revision: Revision = None,
    allow_pickle: AllowPickle = False,
    as_json: Json = False,
) -> None:
    """Translate texts, one a line, or a document, whose structure comes back intact.

    Of subtitles, Markdown and HTML only what people read is translated: time codes, numbering, tags, code and
    addresses stay as they are.
    """
    from heedful.cli.answering import Work, answer_all
    from heedful.tasks import Translator, load
    from heedful.tasks.text_to_text.search import search_settings

    task = load(model, task=Translator.job, revision=revision, allow_pickle=allow_pickle)
    if source or target:
        task.set_languages(source=source, target=target)
    if beams:
        task.card = task.card.model_copy(update={"generation": search_settings(task, num_beams=beams)})
    columns = renamed(task.card.columns, text=text_column)
    answer_all(task, Work(data, columns, on_bad_row, form, output, resume, as_json))
