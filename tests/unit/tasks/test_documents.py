"""Documents are translated sentence by sentence: none is lost, and all white space stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data import Example
from heedful.tasks.text_to_text import TextAnswer
from heedful.tasks.text_to_text.documents import Writer, by_sentences
from heedful.tasks.text_to_text.trust.words import word_spans


class Model:
    """Answers by a function of the text, and remembers what it was asked; it reads characters as tokens."""

    def __init__(self, answer: Callable[[str], TextAnswer | str], max_length: int = 1000) -> None:
        self.asked: list[list[str]] = []
        self.rows: list[int] = []
        self._answer = answer
        self.writer = Writer(self._write, len, max_length, "en")

    def _write(self, examples: Sequence[Example]) -> list[TextAnswer]:
        texts = [example.text for example in examples]
        self.rows += [example.row for example in examples]
        self.asked.append(texts)
        answers = [self._answer(text) for text in texts]
        return [TextAnswer(answer, -1.0) if isinstance(answer, str) else answer for answer in answers]

    def translate(self, *texts: str) -> list[TextAnswer]:
        return by_sentences([Example(text, None, (), row) for row, text in enumerate(texts, 1)], self.writer)


def letters(text: str) -> str:
    """A text without white space."""
    return "".join(text.split())


def aligned(text: str) -> TextAnswer:
    """The words of a text in reverse order, with the alignment that this is."""
    words = text.split()
    last = len(words) - 1
    alignment = tuple((number, last - number) for number in range(len(words)))
    return TextAnswer(" ".join(reversed(words)), -1.0, alignment=alignment)


def test_every_sentence_is_answered_alone_and_put_back_in_its_place() -> None:
    model = Model(str.upper)
    (answer,) = model.translate("A title\r\n\r\n  First one.  Second one?\nLast.\n")
    assert model.asked == [["A title", "First one.", "Second one?", "Last."]]
    assert answer.text == "A TITLE\r\n\r\n  FIRST ONE.  SECOND ONE?\nLAST.\n"
    assert answer.parts == (
        ("A title", "A TITLE"),
        ("First one.", "FIRST ONE."),
        ("Second one?", "SECOND ONE?"),
        ("Last.", "LAST."),
    )
    assert answer.warnings == ()


def test_sentences_of_all_texts_are_written_side_by_side() -> None:
    model = Model(str.upper)
    answers = model.translate("One. Two.", "", "Three.", " \n", "Four. Five. Six.")
    assert [answer.text for answer in answers] == ["ONE. TWO.", "", "THREE.", " \n", "FOUR. FIVE. SIX."]
    assert len(model.asked) == 1
    assert model.rows == [1, 1, 3, 5, 5, 5]


def test_nothing_to_write_asks_nobody() -> None:
    model = Model(str.upper)
    assert [answer.text for answer in model.translate("", "\n")] == ["", "\n"]
    assert model.translate() == []
    assert model.asked == []


def test_what_is_one_sentence_is_answered_as_if_nothing_had_been_done() -> None:
    whole = TextAnswer("Eins", -0.5, 3, False, ("Zwei",), ("Ei", "ns"), (0.5, 0.6), 0.7, ((0, 0),), ("odd",), "memory")
    assert Model(lambda _: whole).translate("One.") == [whole]


def test_what_there_is_to_say_is_put_together() -> None:
    answers = {
        "One two.": TextAnswer(
            "eins zwei", -0.2, 0, True, ("a", "b"), ("eins", "zwei"), (0.9, 0.8), 0.9, ((0, 0), (1, 1))
        ),
        "Three.": TextAnswer("drei", -0.8, 2, False, ("c",), ("drei",), (0.5,), 0.3, ((0, 0),), ("odd",)),
    }
    (answer,) = Model(lambda text: answers[text]).translate("One two. Three.")
    assert answer.score == pytest.approx(-0.4)
    assert answer.confidence == pytest.approx(0.7)
    assert replace(answer, score=0.0, confidence=None) == TextAnswer(
        text="eins zwei drei",
        score=0.0,
        cut_tokens=2,
        is_complete=False,
        alternatives=("a c",),
        tokens=("eins", "zwei", "drei"),
        probabilities=(0.9, 0.8, 0.5),
        alignment=((0, 0), (1, 1), (2, 2)),
        warnings=("part 2: odd",),
        parts=(("One two.", "eins zwei"), ("Three.", "drei")),
    )


def test_confidence_is_unknown_where_that_of_a_sentence_is() -> None:
    answers = iter([TextAnswer("a", -1.0, confidence=0.5), TextAnswer("b", -1.0)])
    assert Model(lambda _: next(answers)).translate("One. Two.")[0].confidence is None


@pytest.mark.parametrize(("origins", "expected"), [(["memory"] * 2, "memory"), (["memory", "model"], "model")])
def test_the_memory_wrote_it_if_it_wrote_all_of_it(origins: list[str], expected: str) -> None:
    answers = iter([TextAnswer("a", 0.0, origin=origin) for origin in origins])  # type: ignore[arg-type]
    assert Model(lambda _: next(answers)).translate("One. Two.")[0].origin == expected


def test_words_are_counted_through() -> None:
    text = " The first one.\n Then two more words. End."
    (answer,) = Model(aligned).translate(text)
    source = [text[slice(*span)] for span in word_spans(text)]
    target = [answer.text[slice(*span)] for span in word_spans(answer.text)]
    assert len(answer.alignment) == len(source)
    assert all(source[i] == target[j] for i, j in answer.alignment)


def test_words_are_counted_through_where_there_are_no_blanks() -> None:
    chinese = {"One two.": "一二。", "Three.": "三。"}
    alignments = {"One two.": ((0, 0), (1, 1)), "Three.": ((0, 0),)}
    (answer,) = Model(lambda text: TextAnswer(chinese[text], 0.0, alignment=alignments[text])).translate(
        "One two. Three."
    )
    assert answer.text == "一二。三。"
    words = [answer.text[slice(*span)] for span in word_spans(answer.text)]
    assert [(i, words[j]) for i, j in answer.alignment] == [(0, "一"), (1, "二"), (2, "三")]


def test_a_sentence_that_is_too_long_is_cut_at_clauses_and_says_so() -> None:
    model = Model(str.upper, max_length=20)
    (answer,) = model.translate("Short. This is longer, it has clauses; and wordswithoutanyblank. End.")
    assert model.asked == [
        ["Short.", "This is longer,", "it has clauses;", "and", "wordswithou", "tanyblank.", "End."],
    ]
    assert answer.text == "SHORT. THIS IS LONGER, IT HAS CLAUSES; AND WORDSWITHOUTANYBLANK. END."
    assert answer.warnings == ("sentences longer than the model takes, translated in parts: 1",)
    assert answer.cut_tokens == 0


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
        | st.sampled_from(["A b. C d!", "一。二？", "\n"])
    ),
    st.integers(4, 40),
)
def test_no_sentence_is_ever_lost(pieces: list[str], max_length: int) -> None:
    text = " ".join(pieces)
    model = Model(lambda part: part, max_length)
    (answer,) = model.translate(text)
    assert answer.text == text
    assert letters("".join("".join(asked) for asked in model.asked)) == letters(text)
    assert len(answer.parts) in {0, *map(len, model.asked)}


def test_a_thousand_sentences_in_are_a_thousand_out() -> None:
    model = Model(lambda text: text.replace("sentence", "Satz"))
    text = "".join(f"This is sentence {n}.{chr(10) if n % 7 == 0 else ' '}" for n in range(1000))
    (answer,) = model.translate(text)
    assert len(model.asked[0]) == len(answer.parts) == 1000
    assert answer.text == text.replace("sentence", "Satz")
