"""Long texts through a model: each way reads what it promises, and writes what the model writes for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from heedful.errors import RequestError
from heedful.tasks import Summarizer, Translator
from heedful.tasks.text_to_text.long_documents import WAYS
from heedful.tasks.text_to_text.options import AnswerOptions

ROOM = {"max_length": 60, "max_target_length": 12, "generation": {"num_beams": 2}}


@pytest.fixture(scope="module")
def translator(ignorant: Callable[..., Any]) -> Translator:
    made: Translator = ignorant("translation", **ROOM)
    return made


@pytest.fixture(scope="module")
def summarizer(ignorant: Callable[..., Any]) -> Summarizer:
    made: Summarizer = ignorant("summarization", **ROOM)
    return made


def test_a_document_is_translated_as_its_sentences_are(translator: Translator, sentences: list[str]) -> None:
    document = "\n\n  ".join([" ".join(sentences[:7]), " ".join(sentences[7:])])
    (answer,) = translator.predict([document])
    alone = translator.predict(sentences)
    assert answer.parts == tuple((text, each.text) for text, each in zip(sentences, alone, strict=True))
    texts = [each.text for each in alone]
    assert answer.text == "\n\n  ".join([" ".join(texts[:7]), " ".join(texts[7:])])
    assert answer.cut_tokens == 0


def test_a_text_can_be_translated_as_a_whole(translator: Translator, sentences: list[str]) -> None:
    (answer,) = translator.predict([" ".join(sentences)], AnswerOptions(long_input="truncate"))
    assert answer.parts == ()
    assert answer.cut_tokens > 0


@pytest.mark.parametrize("way", WAYS["summarization"])
def test_each_way_of_summarizing_tells_what_was_read(summarizer: Summarizer, way: str, sentences: list[str]) -> None:
    text = " ".join(sentences)
    (answer,) = summarizer.predict([text], AnswerOptions(long_input=way))
    read = [sentence for sentence in sentences if any(sentence in part for part, _ in answer.parts)]
    assert answer.text
    if way in {"windows", "hierarchical"}:
        assert read == sentences
        assert answer.cut_tokens == 0
        assert len(answer.parts) > 2
    else:
        assert answer.cut_tokens > 0
    if way == "extract":
        assert 0 < len(read) < len(sentences)
        assert answer.warnings[0] == f"read were the most central sentences, {len(read)} of {len(sentences)}"


@pytest.mark.parametrize("way", WAYS["summarization"])
def test_what_fits_is_summarized_the_same_in_every_way(summarizer: Summarizer, way: str, sentences: list[str]) -> None:
    usual = summarizer.predict(sentences[:2])
    assert summarizer.predict(sentences[:2], AnswerOptions(long_input=way)) == usual


def test_a_way_of_the_other_job_is_refused(translator: Translator, sentences: list[str]) -> None:
    with pytest.raises(RequestError, match="translation has no way of reading long texts called 'extract'"):
        translator.predict(sentences, AnswerOptions(long_input="extract"))
