"""Long documents are summarized in each of the ways there are, and the answer says what was done."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data import Example
from heedful.errors import RequestError
from heedful.tasks.text_to_text import TextAnswer
from heedful.tasks.text_to_text.documents import Writer
from heedful.tasks.text_to_text.long_documents import WAYS, LongDocument, answer_documents, way_of

MAX_LENGTH = 60
ALL_WAYS = [(job, way) for job, ways in WAYS.items() for way in ways]
READS_ALL = [LongDocument.WINDOWS, LongDocument.HIERARCHICAL]


class Model:
    """Writes the first words of a text, of which it reads ``MAX_LENGTH``; it remembers what it was asked."""

    def __init__(self, keep: int | Callable[[str], str] = 6) -> None:
        self.asked: list[list[str]] = []
        self._keep = keep
        self.writer = Writer(self._write, self.count, MAX_LENGTH, "en")

    @staticmethod
    def count(text: str) -> int:
        """Its tokens are words, and there is one at the end."""
        return len(text.split()) + 1

    def _write(self, examples: Sequence[Example]) -> list[TextAnswer]:
        texts = [example.text for example in examples]
        self.asked.append(texts)
        return [self._summary(text) for text in texts]

    def _summary(self, text: str) -> TextAnswer:
        cut = max(self.count(text) - MAX_LENGTH, 0)
        summary = self._keep(text) if callable(self._keep) else " ".join(text.split()[: self._keep])
        return TextAnswer(summary, -0.5, cut, confidence=0.5, alignment=((0, 0),), warnings=("odd",) * ("odd" in text))

    def summarize(self, how: LongDocument, *texts: str) -> list[TextAnswer]:
        examples = [Example(text, None, (), row) for row, text in enumerate(texts, 1)]
        return answer_documents(examples, self.writer, how)


def document(count: int, topic: str = "sentence") -> str:
    return " ".join(f"This is {topic} {number}." for number in range(count))


def numbers(text: str) -> list[int]:
    """The sentences of a document that stand in a text."""
    return [int(number) for number in re.findall(r"This is \w+ (\d+)\.", text)]


@pytest.mark.parametrize("how", WAYS["summarization"])
def test_what_the_model_takes_whole_it_reads_whole(how: LongDocument) -> None:
    model = Model()
    texts = [document(14), " Two lines.\n\nOf text. ", ""]
    answers = model.summarize(how, *texts)
    assert model.asked == [texts]
    assert [answer.text for answer in answers] == ["This is sentence 0. This is", "Two lines. Of text.", ""]
    assert all(answer.parts == () and answer.warnings == () and answer.cut_tokens == 0 for answer in answers)


@pytest.mark.parametrize("how", LongDocument)
def test_nothing_in_nothing_out(how: LongDocument) -> None:
    model = Model()
    assert model.summarize(how) == []


@pytest.mark.parametrize("how", WAYS["summarization"])
@pytest.mark.parametrize("count", [15, 100, 1000])
def test_nothing_longer_is_read_than_the_model_takes(how: LongDocument, count: int) -> None:
    model = Model()
    model.summarize(how, document(count))
    longest = max(model.count(text) for asked in model.asked for text in asked)
    assert longest <= MAX_LENGTH or how is LongDocument.TRUNCATE


@pytest.mark.parametrize("how", READS_ALL)
@pytest.mark.parametrize("count", [15, 29, 100, 1000])
def test_every_sentence_is_read_once_and_in_order(how: LongDocument, count: int) -> None:
    model = Model()
    (answer,) = model.summarize(how, document(count))
    assert [number for text in model.asked[0] for number in numbers(text)] == list(range(count))
    assert [number for part, _ in answer.parts for number in numbers(part)] == list(range(count))
    assert answer.cut_tokens == 0


@given(st.lists(st.sampled_from(["a", "bb,", "c.", "一。", "\n", "wordwithoutend"]), min_size=1), st.integers(1, 60))
@pytest.mark.parametrize("how", READS_ALL)
def test_every_character_is_read_whatever_the_text(how: LongDocument, words: list[str], times: int) -> None:
    text = " ".join(words * times)
    model = Model()
    model.summarize(how, text)
    assert "".join("".join(model.asked[0]).split()) == "".join(text.split())


def test_truncate_says_what_was_not_read() -> None:
    text = document(20)
    model = Model()
    (answer,) = model.summarize(LongDocument.TRUNCATE, text)
    assert model.asked == [[text]]
    assert answer.cut_tokens == 80 + 1 - MAX_LENGTH


def test_windows_are_even_and_their_summaries_follow_each_other() -> None:
    model = Model(4)
    (answer,) = model.summarize(LongDocument.WINDOWS, document(32))
    assert [len(numbers(text)) for text in model.asked[0]] == [11, 11, 10]
    assert answer.text == "This is sentence 0. This is sentence 11. This is sentence 22."
    assert [summary for _, summary in answer.parts] == [f"This is sentence {n}." for n in (0, 11, 22)]
    assert answer.score == pytest.approx(-0.5)
    assert answer.warnings == ()


def test_summaries_are_summarized_until_one_is_left() -> None:
    model = Model(8)
    (answer,) = model.summarize(LongDocument.HIERARCHICAL, document(300))
    sizes = [len(asked) for asked in model.asked]
    assert sizes == [22, 4, 1]
    assert answer.text == "This is sentence 0. This is sentence 1."
    assert answer.warnings == ("a summary of summaries: 22, then 4, then 1",)
    assert len(answer.parts) == 22
    assert answer.alignment == ()


def test_texts_of_any_length_take_their_rounds_together() -> None:
    model = Model(8)
    texts = [document(300, "novel"), document(30, "letter"), document(3, "note")]
    answers = model.summarize(LongDocument.HIERARCHICAL, *texts)
    assert [len(asked) for asked in model.asked] == [22 + 3 + 1, 4 + 1, 1]
    alone = [Model(8).summarize(LongDocument.HIERARCHICAL, text)[0] for text in texts]
    assert answers == alone


def test_summaries_that_do_not_get_shorter_end_the_rounds() -> None:
    model = Model(lambda text: text)
    (answer,) = model.summarize(LongDocument.HIERARCHICAL, document(100))
    assert len(model.asked) == 1
    assert numbers(answer.text) == list(range(100))
    assert answer.warnings == ("the summaries of its parts did not get shorter: they follow each other",)


def test_summaries_that_stop_getting_shorter_end_the_rounds_too() -> None:
    model = Model(lambda text: " ".join(text.split()[:40]))
    (answer,) = model.summarize(LongDocument.HIERARCHICAL, document(1000))
    assert len(model.asked) > 2
    assert answer.warnings[-1].startswith("the summaries of its parts did not get shorter")
    assert answer.warnings[0].startswith("a summary of summaries: ")


def test_warnings_name_the_window() -> None:
    text = f"{document(30)} This is odd. {document(3)}"
    (answer,) = Model().summarize(LongDocument.WINDOWS, text)
    assert answer.warnings == ("part 3: odd",)


def test_the_most_central_sentences_are_read_in_order() -> None:
    about = [f"The flood broke the old bridge of the town, street {n} and all." for n in range(8)]
    beside = [f"Zorblax{n} quibbled{n} frumiously{n}." for n in range(20)]
    lines = [*beside[:9], *about[:4], *beside[9:], *about[4:]]
    model = Model()
    (answer,) = model.summarize(LongDocument.EXTRACT, "\n".join(lines))
    ((read,),) = model.asked
    kept = read.split("\n")
    assert kept == [line for line in lines if line in kept]
    assert sum(line in about for line in kept) == 4
    assert answer.parts == ((read, answer.text),)
    assert answer.warnings == (f"read were the most central sentences, {len(kept)} of 28",)
    assert answer.cut_tokens == model.count("\n".join(lines)) - model.count(read)
    assert answer.alignment == ()


@given(st.lists(st.sampled_from(["a", "bb,", "c.", "一。", "\n", "wordwithoutend"]), min_size=1), st.integers(1, 60))
def test_an_extract_is_as_much_as_the_model_takes(words: list[str], times: int) -> None:
    text = " ".join(words * times)
    model = Model()
    (answer,) = model.summarize(LongDocument.EXTRACT, text)
    ((read,),) = model.asked
    assert model.count(read) <= MAX_LENGTH
    assert answer.cut_tokens == model.count(text) - model.count(read)
    assert bool(answer.warnings) == (answer.cut_tokens > 0)


@pytest.mark.parametrize(("job", "way"), ALL_WAYS)
def test_every_way_of_a_job_is_found_by_name(job: str, way: LongDocument) -> None:
    assert way_of(job, way.value) is way
    assert way_of(job, None) is WAYS[job][0]
    assert {way for _, way in ALL_WAYS} == set(LongDocument)


def test_a_way_that_a_job_does_not_have_is_refused() -> None:
    with pytest.raises(RequestError, match="translation has no way of reading long texts called 'windows'") as refused:
        way_of("translation", "windows")
    assert refused.value.remedy == "Choose one of: sentences, truncate."
