"""Long texts through a model: each way reads what it promises, and writes what the model writes for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from heedful.data import Columns, Example, ExampleStore
from heedful.errors import RequestError
from heedful.model import UniformSpec
from heedful.tasks import JOBS, SummarizationSettings, Summarizer, TranslationSettings, Translator
from heedful.tasks.text_to_text.long_documents import WAYS
from heedful.tasks.text_to_text.options import AnswerOptions
from heedful.text import TokenizerSettings

SENTENCES = [f"The {colour} dog number {n} sees a cat." for n, colour in enumerate(["red", "blue", "old"] * 5)]
ROOM = {"max_length": 60, "max_target_length": 12}
SETTINGS = {"translation": TranslationSettings, "summarization": SummarizationSettings}


@pytest.fixture(scope="module")
def store() -> Iterator[ExampleStore]:
    with ExampleStore([Example(text, None, (), row, target=text) for row, text in enumerate(SENTENCES, 1)]) as made:
        yield made


def untrained(job: str, store: ExampleStore) -> Any:
    """A task with random weights: it writes nonsense, the same for the same text."""
    made = JOBS[job].create(
        SETTINGS[job].model_validate({"job": job, "generation": {"num_beams": 2}, **ROOM}),
        TokenizerSettings.model_validate({"kind": "bpe", "vocabulary_size": 300}),
        UniformSpec.model_validate({"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 64}),
        store,
        Columns(),
        seed=1,
    )
    made.network.double().eval()
    return made


@pytest.fixture(scope="module")
def translator(store: ExampleStore) -> Translator:
    made: Translator = untrained("translation", store)
    return made


@pytest.fixture(scope="module")
def summarizer(store: ExampleStore) -> Summarizer:
    made: Summarizer = untrained("summarization", store)
    return made


def test_a_document_is_translated_as_its_sentences_are(translator: Translator) -> None:
    document = "\n\n  ".join([" ".join(SENTENCES[:7]), " ".join(SENTENCES[7:])])
    (answer,) = translator.predict([document])
    alone = translator.predict(SENTENCES)
    assert answer.parts == tuple((text, each.text) for text, each in zip(SENTENCES, alone, strict=True))
    texts = [each.text for each in alone]
    assert answer.text == "\n\n  ".join([" ".join(texts[:7]), " ".join(texts[7:])])
    assert answer.cut_tokens == 0


def test_a_text_can_be_translated_as_a_whole(translator: Translator) -> None:
    (answer,) = translator.predict([" ".join(SENTENCES)], AnswerOptions(long_input="truncate"))
    assert answer.parts == ()
    assert answer.cut_tokens > 0


@pytest.mark.parametrize("way", WAYS["summarization"])
def test_each_way_of_summarizing_tells_what_was_read(summarizer: Summarizer, way: str) -> None:
    text = " ".join(SENTENCES)
    (answer,) = summarizer.predict([text], AnswerOptions(long_input=way))
    read = [sentence for sentence in SENTENCES if any(sentence in part for part, _ in answer.parts)]
    assert answer.text
    if way in {"windows", "hierarchical"}:
        assert read == SENTENCES
        assert answer.cut_tokens == 0
        assert len(answer.parts) > 2
    else:
        assert answer.cut_tokens > 0
    if way == "extract":
        assert 0 < len(read) < len(SENTENCES)
        assert answer.warnings[0] == f"read were the most central sentences, {len(read)} of {len(SENTENCES)}"


@pytest.mark.parametrize("way", WAYS["summarization"])
def test_what_fits_is_summarized_the_same_in_every_way(summarizer: Summarizer, way: str) -> None:
    usual = summarizer.predict(SENTENCES[:2])
    assert summarizer.predict(SENTENCES[:2], AnswerOptions(long_input=way)) == usual


def test_a_way_of_the_other_job_is_refused(translator: Translator) -> None:
    with pytest.raises(RequestError, match="translation has no way of reading long texts called 'extract'"):
        translator.predict(SENTENCES, AnswerOptions(long_input="extract"))
