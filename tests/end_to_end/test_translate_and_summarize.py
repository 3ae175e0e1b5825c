"""heedful translate and heedful summarize: documents come back intact, and an interruption costs little."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.end_to_end.toy_translation import SENTENCES, translated

import heedful
from heedful.data import Example

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Call

PAGE = '<html>\n<!-- red --><p class="red">dog red blue</p>\n<pre>red</pre><p>{}<img alt="bird cat red"></p></html>\n'
SUBTITLES = "1\n00:00:01,000 --> 00:00:02,000\n{}\n\n2\n00:00:03,000 --> 00:00:04,000\n{}\n"
MARKDOWN = "---\ntitle: red\n---\n# {}\n\n- {}\n\n```\nred\n```\n"


@pytest.fixture(scope="module")
def summarizer(translator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The translator, which takes its work for summaries."""
    folder = tmp_path_factory.mktemp("summarizer") / "run"
    shutil.copytree(translator, folder)
    card = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    (folder / "task.json").write_text(json.dumps(card | {"job": "summarization"}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "document", "answered"),
    [
        (
            "page.html",
            PAGE.format("cat green bird"),
            PAGE.replace("dog red blue", "hund rot blau")
            .replace("bird cat red", "vogel katze rot")
            .format("katze grün vogel"),
        ),
        (
            "film.srt",
            SUBTITLES.format("dog red blue", "cat green\nbird"),
            SUBTITLES.format("hund rot blau", "katze grün\nvogel"),
        ),
        (
            "read.md",
            MARKDOWN.format("dog red blue", "cat green bird"),
            MARKDOWN.format("hund rot blau", "katze grün vogel"),
        ),
    ],
)
@pytest.mark.parametrize("verb", ["translate", "predict"])
def test_a_document_comes_back_intact(
    call: Call, translator: Path, tmp_path: Path, verb: str, name: str, document: str, answered: str
) -> None:
    file = tmp_path / name
    file.write_text(document, encoding="utf-8")
    answer = call(verb, translator, file)
    assert answer.exit_code == 0
    assert answer.stdout == answered
    output = tmp_path / f"to-{name}"
    assert call(verb, translator, file, "--output", output).stdout == ""
    assert output.read_text(encoding="utf-8") == answered


def test_the_format_may_be_named(call: Call, translator: Path) -> None:
    answer = call("translate", translator, "-", "--format", "markdown", text="# dog red blue\n")
    assert answer.stdout == "# hund rot blau\n"
    as_lines = call("translate", translator, "--format", "lines", text="dog red blue\ncat green bird\n")
    assert as_lines.stdout == "hund rot blau\nkatze grün vogel\n"
    (record,) = call(
        "translate", translator, "--format", "html", "--json", text="<p>dog red blue</p>"
    ).stdout.splitlines()
    assert json.loads(record)["text"] == "hund rot blau"


@pytest.mark.parametrize("name", ["texts.en", "texts.md"])
def test_a_file_of_any_name_may_hold_texts_one_by_one(call: Call, translator: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("dog red blue\ncat green bird\n", encoding="utf-8")
    assert call("translate", translator, file, "--format", "lines").stdout == "hund rot blau\nkatze grün vogel\n"


def test_a_malformed_document_is_refused_with_its_line(call: Call, translator: Path, tmp_path: Path) -> None:
    file = tmp_path / "film.srt"
    file.write_text("1\n00:00:01,000 -> 00:00:02,000\ndog\n", encoding="utf-8")
    answer = call("translate", translator, file)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert f"{file}, line 2: should be a time line" in answer.stderr


def test_beams_and_languages_are_those_of_the_verb(call: Call, translator: Path) -> None:
    answer = call("translate", translator, "--beams", 1, text="dog red blue\n")
    assert answer.stdout == "hund rot blau\n"
    example = Example("bird bird cat dog", None, (), 1)
    for beams in (1, 3):
        (wanted,) = heedful.load(translator).write([example], num_beams=beams)
        told = json.loads(call("translate", translator, "--beams", beams, "--json", text=f"{example.text}\n").stdout)
        assert (told["text"], told["score"]) == (wanted.text, wanted.score)
    refused = call("translate", translator, "--to", "fr", text="dog\n")
    assert refused.exit_code == 2
    assert "'fr'" in refused.stderr
    assert call("translate", translator, "--beams", 65, text="dog\n").exit_code == 2


def test_terms_of_a_glossary_are_translated_as_it_says(call: Call, translator: Path, tmp_path: Path) -> None:
    glossary = tmp_path / "terms.tsv"
    glossary.write_text("dog\tvogel\n", encoding="utf-8")
    answer = call("translate", translator, "--glossary", glossary, text="dog red blue\ncat green cat\n")
    first, second = answer.stdout.splitlines()
    assert "vogel" in first
    assert second == "katze grün katze"
    glossary.write_text("dog\tvogel\ndog\tkatze\n", encoding="utf-8")
    refused = call("translate", translator, "--glossary", glossary, text="dog\n")
    assert refused.exit_code == 2
    assert str(glossary) in refused.stderr


def test_with_a_shortlist_only_its_tokens_are_written(
    call: Call, translator: Path, summarizer: Path, tmp_path: Path
) -> None:
    listed, whole = tmp_path / "german.txt", tmp_path / "pairs.tsv"
    listed.write_text("hund rot\nkatze\n", encoding="utf-8")
    whole.write_text("text\ttarget\n" + "".join(f"{one}\t{translated(one)}\n" for one in SENTENCES), encoding="utf-8")
    for verb, model in (("translate", translator), ("summarize", summarizer)):
        answer = call(verb, model, "--shortlist", listed, text="dog red cat\ndog blue cat\n")
        assert re.search(r"a shortlist of \d+ of \d+ tokens is written with: answers may differ", answer.stderr)
        first, second = answer.stdout.splitlines()
        assert first == "hund rot katze"
        assert "blau" not in second
        assert call(verb, model, "--shortlist", whole, text="dog blue cat\n").stdout == "hund blau katze\n"
    glossary = tmp_path / "terms.tsv"
    glossary.write_text("dog\tvogel\n", encoding="utf-8")
    answer = call("translate", translator, "--shortlist", listed, "--glossary", glossary, text="dog red cat\n")
    assert "vogel" in answer.stdout
    refused = call("translate", translator, "--shortlist", tmp_path / "none.txt", text="dog\n")
    assert refused.exit_code == 2
    assert "none.txt" in refused.stderr


TMX = """<tmx version="1.4"><header/><body><tu>
<tuv xml:lang="en"><seg>dog red blue</seg></tuv><tuv xml:lang="de"><seg>ein roter Hund</seg></tuv>
</tu></body></tmx>"""
MEMORIES = {"old.tsv": "source\ttarget\nDog  red blue\tein roter Hund\n", "old.tmx": TMX}


@pytest.mark.parametrize("name", MEMORIES)
def test_what_was_translated_before_is_used_again(call: Call, translator: Path, tmp_path: Path, name: str) -> None:
    memory = tmp_path / name
    memory.write_text(MEMORIES[name], encoding="utf-8")
    folder = Path(shutil.copytree(translator, tmp_path / "run"))
    card = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    card["columns"] |= {"text": "en", "target": "de"}  # as if it had been trained from a TMX file
    (folder / "task.json").write_text(json.dumps(card), encoding="utf-8")
    arguments = ("translate", folder, "--memory", memory, "--json")
    records = [json.loads(line) for line in call(*arguments, text="dog red blue\ncat green bird\n").stdout.splitlines()]
    assert [(one["text"], one["origin"]) for one in records] == [
        ("ein roter Hund", "memory"),
        ("katze grün vogel", "model"),
    ]


def test_long_texts_are_read_as_the_verb_is_told(call: Call, translator: Path, summarizer: Path) -> None:
    text = json.dumps({"source": "dog red blue\n\n" * 8}) + "\n"
    by_sentences = json.loads(call("translate", translator, "--json", text=text).stdout)
    assert by_sentences["parts"] == [["dog red blue", "hund rot blau"]] * 8
    assert by_sentences["text"].split("\n\n")[:8] == ["hund rot blau"] * 8
    assert by_sentences["cut_tokens"] == 0
    whole = json.loads(call("translate", translator, "--long-input", "truncate", "--json", text=text).stdout)
    assert not whole["parts"]
    assert whole["cut_tokens"] > 0
    windows = json.loads(call("summarize", summarizer, "--long-input", "windows", "--json", text=text).stdout)
    assert len(windows["parts"]) > 1
    refused = call("translate", translator, "--long-input", "extract", text=text)
    assert refused.exit_code == 2
    assert "Choose one of: sentences, truncate." in refused.stderr


def test_markup_within_a_sentence_survives(call: Call, translator: Path) -> None:
    page = '<p>dog <a href="x">red</a> blue</p>\n'
    answer = call("translate", translator, "--format", "html", text=page)
    assert re.sub(r"</?a[^>]*>", "", answer.stdout) == "<p>hund rot blau</p>\n"
    assert answer.stdout.count('<a href="x">') == answer.stdout.count("</a>") == 1


def test_a_verb_wants_a_model_of_its_job(call: Call, translator: Path, summarizer: Path, model: Path) -> None:
    for verb, folder, job in [
        ("summarize", translator, "translation"),
        ("translate", summarizer, "summarization"),
        ("translate", model, "classification"),
    ]:
        answer = call(verb, folder, text="dog\n")
        assert answer.exit_code == 2
        assert f"was trained for {job}" in answer.stderr
    answer = call("predict", model, "--format", "srt", text="1\n")
    assert answer.exit_code == 2
    assert "can be translated or summarized, not classified" in answer.stderr


def test_a_summary_has_the_length_that_is_asked_for(call: Call, summarizer: Path) -> None:
    text = "dog red blue cat\n"
    usual = json.loads(call("summarize", summarizer, "--json", text=text).stdout)
    assert usual == json.loads(call("summarize", summarizer, "--json", "--length", "medium", text=text).stdout)
    short = json.loads(call("summarize", summarizer, "--json", "--length", "2", text=text).stdout)
    assert not short["is_complete"]
    assert len(short["text"]) < len(usual["text"])
    assert "1 answers were ended at 2 tokens" in call("summarize", summarizer, "--length", "2", text=text).stderr
    long = json.loads(call("summarize", summarizer, "--json", "--length", "long", text="dog red\n").stdout)
    assert len(long["tokens"]) >= 7 > len(usual["tokens"])  # and an end; the longest answer has 16
    assert all(long["tokens"])
    refused = call("summarize", summarizer, "--length", "shrt", text=text)
    assert refused.exit_code == 2
    assert "'shrt' is no length of a text" in refused.stderr
    assert "did you mean short?" in refused.stderr


def test_a_document_has_one_summary(call: Call, summarizer: Path) -> None:
    answer = call("summarize", summarizer, "--format", "markdown", text="# dog\n\nred **blue**\n")
    assert answer.exit_code == 0
    assert len(answer.stdout.splitlines()) == 1


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file that takes some seconds, and its translation."""
    lines = [line for _ in range(8) for line in SENTENCES]
    path = tmp_path_factory.mktemp("many") / "many.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path, "".join(f"{translated(line)}\n" for line in lines)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_translation_goes_on_where_it_stopped(
    call: Call, heedful_path: Path, translator: Path, many: tuple[Path, str], tmp_path: Path, number: signal.Signals
) -> None:
    file, wanted = many
    output, partial = tmp_path / "out.txt", tmp_path / "out.txt.partial"
    arguments = ["translate", translator, file, "--beams", "4", "--output", output]
    with subprocess.Popen([heedful_path, *map(str, arguments)], stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (partial.exists() and partial.read_bytes().count(b"\n") > 256):
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate()
    assert process.returncode == (130 if number is signal.SIGINT else -number)
    assert "--resume goes on" in told or number is not signal.SIGINT
    assert not output.exists()
    kept = partial.read_bytes().count(b"\n") - 1
    assert 256 <= kept < wanted.count("\n")
    refused = call(*arguments)
    assert refused.exit_code == 2
    assert "of a prediction that was interrupted" in refused.stderr
    other = call("translate", translator, file, "--beams", "2", "--output", output, "--resume")
    assert other.exit_code == 2
    assert "the settings changed since" in other.stderr
    resumed = call(*arguments, "--resume")
    assert resumed.exit_code == 0
    assert f"{kept:,} texts were answered before" in resumed.stderr
    assert f"{wanted.count(chr(10)) - kept:,} texts in" in resumed.stderr
    assert output.read_text(encoding="utf-8") == wanted
    assert not partial.exists()


def test_another_model_does_not_go_on(call: Call, translator: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    header = json.dumps({"model": "other", "settings": "other"})
    record = json.dumps({"text": "x", "answer": "y"})
    output.with_name("out.txt.partial").write_text(f"{header}\n{record}\n", encoding="utf-8")
    answer = call("predict", model, "--output", output, "--resume", text="card stolen\n")
    assert answer.exit_code == 2
    assert "the model and the settings changed since" in answer.stderr
    answer = call("predict", model, "--resume", text="card stolen\n")
    assert answer.exit_code == 2
    assert "Name it with --output" in answer.stderr


def test_any_answers_go_into_a_file(call: Call, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "out.tsv"
    shown = call("predict", model, text="card stolen\n\nrain\n").stdout
    answer = call("predict", model, "--output", output, text="card stolen\n\nrain\n")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert output.read_text(encoding="utf-8") == shown
    assert sorted(path.name for path in output.parent.iterdir()) == [".out.tsv.finished", "out.tsv"]


def test_a_finished_translation_is_not_made_again(call: Call, translator: Path, tmp_path: Path) -> None:
    file, output = tmp_path / "film.srt", tmp_path / "out.srt"
    file.write_text(SUBTITLES.format("dog red blue", "cat green bird"), encoding="utf-8")
    arguments = ("translate", translator, file, "--output", output)
    assert call(*arguments, "--resume").exit_code == 0
    wanted, written = output.read_bytes(), output.stat().st_mtime_ns
    again = call(*arguments, "--resume")
    assert (again.exit_code, again.stdout) == (0, "")
    assert f"{output} is complete: nothing is left to do" in again.stderr
    assert "texts in" not in again.stderr
    settings = call(*arguments, "--resume", "--beams", "2")
    assert settings.exit_code == 2
    assert f"{output} was finished, and the settings changed since" in settings.stderr
    file.write_text(file.read_text(encoding="utf-8").replace("00:00:03", "00:00:02"), encoding="utf-8")
    document = call(*arguments, "--resume")
    assert document.exit_code == 2
    assert "the document changed since" in document.stderr
    file.write_text(SUBTITLES.format("dog red blue", "cat green dog"), encoding="utf-8")
    texts = call(*arguments, "--resume")
    assert texts.exit_code == 2
    assert "the document and the input changed since" in texts.stderr
    assert "leave out --resume" in texts.stderr
    assert (output.read_bytes(), output.stat().st_mtime_ns) == (wanted, written)
    assert call(*arguments).exit_code == 0
    assert "katze grün hund" in output.read_text(encoding="utf-8")
