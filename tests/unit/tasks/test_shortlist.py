"""A shortlist of texts: what is written with it, what it says of itself, and what it cannot write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import heedful
from heedful.data import read_rows
from heedful.errors import DataError, RequestError
from heedful.tasks import Translator
from heedful.tasks.text_to_text import AnswerOptions, Glossary
from heedful.tasks.text_to_text.shortlist import read_texts
from heedful.text import Tokenizer, TokenizerKind, TokenizerSettings

TEXTS = ["The old cat.", "A number sees the cat."]


@pytest.fixture(scope="module")
def made(ignorant: Callable[..., Any]) -> Translator:
    made: Translator = ignorant("translation", vocabulary_size=400, max_length=60, max_target_length=16)
    return made


@pytest.fixture
def translator(made: Translator) -> Iterator[Translator]:
    yield made
    made.set_shortlist(None)


def tokens_of(translator: Translator, text: str) -> set[int]:
    (encoding,) = translator.target_tokenizer.encode_batch([text])
    return set(encoding.ids)


def test_only_its_tokens_are_written_and_a_note_says_so(translator: Translator, sentences: list[str]) -> None:
    whole = translator.predict(sentences)
    translator.set_shortlist(TEXTS)
    assert translator.shortlist is not None
    (note,) = translator.notes
    size = translator.model.spec.written_size
    assert note == f"a shortlist of {len(translator.shortlist)} of {size} tokens is written with: answers may differ"
    assert len(translator.shortlist) < size
    listed = translator.predict(sentences)
    assert [answer.text for answer in listed] != [answer.text for answer in whole]
    for text in (*TEXTS, "}~é"):
        assert tokens_of(translator, text) <= translator.shortlist
    written = set().union(*(tokens_of(translator, answer.text) for answer in listed))
    assert len(written - translator.shortlist) <= len(written) // 4, "cut anew, texts may have a few other tokens"
    translator.set_shortlist(["blue"])
    assert len(translator.notes) == 1
    translator.set_shortlist(None)
    assert not translator.notes
    assert translator.predict(sentences) == whole


def test_a_shortlist_of_all_tokens_changes_nothing(translator: Translator, sentences: list[str]) -> None:
    expected = translator.predict(sentences)
    vocabulary = [translator.target_tokenizer.decode([token]) for token in range(translator.model.spec.written_size)]
    translator.set_shortlist([*sentences, *vocabulary])
    missing = set(range(translator.model.spec.written_size)) - (translator.shortlist or set())
    assert len(missing) < 20
    listed = translator.predict(sentences)
    assert [answer.text for answer in listed] == [answer.text for answer in expected]


def test_what_must_be_written_must_be_listed(translator: Translator) -> None:
    translator.set_shortlist(TEXTS)
    for options in (
        AnswerOptions(phrases=("blue",)),
        AnswerOptions(beginning="The blue"),
        AnswerOptions(glossary=Glossary.of([("dog", "blue")])),
    ):
        with pytest.raises(RequestError, match="blue' is written with") as caught:
            translator.predict(["The dog."], options)
        assert "texts that the shortlist is made of" in str(caught.value.remedy)
    translator.set_shortlist([*TEXTS, "blue"])
    for options in (AnswerOptions(phrases=("blue",)), AnswerOptions(glossary=Glossary.of([("dog", "blue")]))):
        assert "blue" in translator.predict(["The dog."], options)[0].text
    assert translator.predict(["The dog."], AnswerOptions(beginning="The blue"))[0].text.startswith("The blue")


def test_placeholders_are_kept_whatever_is_listed(translator: Translator) -> None:
    translator.set_shortlist(TEXTS)
    (answer,) = translator.predict(["The {number} dog sees https://cat.org."])
    assert "{number}" in answer.text
    assert "https://cat.org" in answer.text


def test_no_texts_make_no_shortlist(translator: Translator) -> None:
    with pytest.raises(RequestError, match="no texts has no tokens"):
        translator.set_shortlist([])
    assert translator.shortlist is None


def test_it_is_not_saved(translator: Translator, tmp_path: Path, sentences: list[str]) -> None:
    expected = [answer.text for answer in translator.predict(sentences)]
    translator.set_shortlist(TEXTS)
    translator.save(tmp_path / "run")
    again = heedful.load(tmp_path / "run")
    assert again.notes == ()
    assert [answer.text for answer in again.predict(sentences)] == expected


@pytest.mark.parametrize("kind", list(TokenizerKind))
def test_the_smallest_tokens_make_any_text(kind: TokenizerKind) -> None:
    texts = [row.values["text"] for row in read_rows("helpdesk:validation")]
    tokenizer = Tokenizer.train(texts, TokenizerSettings(kind=kind, vocabulary_size=1000))
    smallest = tokenizer.smallest
    assert {token for token in vars(tokenizer.special).values() if token is not None} <= smallest
    if kind is TokenizerKind.BPE:
        assert len([token for token in smallest if token >= len(vars(tokenizer.special))]) >= 250, "of each byte one"
        return
    written = {tokenizer.decode([token]).strip() for token in smallest}
    (encoding,) = tokenizer.encode_batch(["card"])
    known = {character for token in encoding.ids for character in tokenizer.decode([token]).strip()}
    assert known <= written


def test_texts_come_of_plain_lines_and_of_tables(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    (tmp_path / "pairs.jsonl").write_text('{"source": "x", "german": "eins"}\n', encoding="utf-8")
    (tmp_path / "texts.csv").write_text("text\nuno\n", encoding="utf-8")
    columns = ("german", "text")
    assert [text for text in read_texts(str(tmp_path / "texts.txt"), columns) if text] == ["one", "two"]
    assert list(read_texts(str(tmp_path / "pairs.jsonl"), columns)) == ["eins"]
    assert list(read_texts(str(tmp_path / "texts.csv"), columns)) == ["uno"]
    with pytest.raises(DataError, match="has no column 'french' or 'text'"):
        list(read_texts(str(tmp_path / "pairs.jsonl"), ("french", "text")))
