"""The steps of answering together: what each takes out it puts back, whatever the model writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from heedful.data import Example
from heedful.errors import RequestError
from heedful.tasks import Translator
from heedful.tasks.base import Tally
from heedful.tasks.text_to_text import AnswerOptions, Glossary, TranslationMemory, writing
from heedful.tasks.text_to_text.search import search_settings

MEMORY = TranslationMemory({"The red dog.": "Der rote Hund."}, {"the red dog.": "Der rote Hund."})


@pytest.fixture(scope="module")
def translator(ignorant: Callable[..., Any]) -> Translator:
    made: Translator = ignorant("translation", vocabulary_size=400, max_length=60, max_target_length=16)
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the network was given to read, in order."""
    seen: list[str] = []
    whole = writing.draft

    def watched(author: Any, passages: Sequence[writing.Passage], *rest: Any, **options: Any) -> Any:
        seen.extend(passage.example.text for passage in passages)
        return whole(author, passages, *rest, **options)

    monkeypatch.setattr(writing, "draft", watched)
    return seen


def test_what_is_remembered_is_not_translated_again(translator: Translator, read: list[str]) -> None:
    texts = ["The red  DOG.", "The old dog.", "The old dog. The red dog."]
    remembered, written, mixed = translator.predict(texts, AnswerOptions(memory=MEMORY))
    assert read == ["The old dog.", "The old dog."]
    assert (remembered.text, remembered.origin) == ("Der rote Hund.", "memory")
    assert written.origin == mixed.origin == "model"
    assert mixed.text == f"{written.text} Der rote Hund."


def test_drafts_are_for_one_beam(translator: Translator) -> None:
    """Asked for beside beams they are refused; what the card says of them holds where one beam is followed."""
    texts, drafting = ["A dog sees a dog."], {"prompt_lookup_num_tokens": 4}
    with pytest.raises(RequestError, match="3 are followed"):
        translator.predict(texts, AnswerOptions(generation=drafting | {"num_beams": 3}))
    usual = translator.card
    answers = {beams: translator.predict(texts, AnswerOptions(generation={"num_beams": beams})) for beams in (1, 3)}
    translator.card = usual.model_copy(update={"generation": usual.generation.model_copy(update=drafting)})
    try:
        for beams, answer in answers.items():
            drafted = translator.predict(texts, AnswerOptions(generation={"num_beams": beams}))
            assert drafted[0].text == answer[0].text
    finally:
        translator.card = usual


def test_tags_around_several_sentences_survive(translator: Translator, read: list[str]) -> None:
    (answer,) = translator.predict(["<p>The <b>red dog. A cat</b> sees it.</p>"])
    assert read == ["The red dog.", "A cat sees it."]
    assert answer.text.startswith("<p>")
    assert answer.text.endswith("</p>")
    assert answer.text.count("<b>") == answer.text.count("</b>") >= 1
    plain = translator.predict(["The red dog. A cat sees it."])[0].text
    assert answer.text.replace("<p>", "").replace("</p>", "").replace("<b>", "").replace("</b>", "") == plain


@pytest.mark.parametrize(
    "text",
    ["<br/> <i></i>", "{name}", "<b>{{ x }}</b>: %s!", "https://example.org/a?b=c", "1,234.50 €", "♪ ♪", "12345"],
)
def test_a_text_without_words_is_left_as_it_is(translator: Translator, read: list[str], text: str) -> None:
    (answer,) = translator.predict([text])
    assert read == []
    assert (answer.text, answer.warnings) == (text, ())


def test_a_line_without_words_is_left_as_it_is(translator: Translator, read: list[str]) -> None:
    (answer,) = translator.predict(["The red dog.\n{name}: %s\n12345"])
    assert read == ["The red dog."]
    assert answer.text.endswith("\n{name}: %s\n12345")


def test_a_sign_that_is_a_term_is_a_word(translator: Translator, read: list[str]) -> None:
    (answer,) = translator.predict(["50 %"], AnswerOptions(glossary=Glossary.of([("%", "number")])))
    assert read == ["50 %"]
    assert "number" in answer.text


def test_markup_can_be_text_like_any_other(translator: Translator, read: list[str]) -> None:
    translator.predict(["The <b>red</b> dog."], AnswerOptions(keep_markup=False))
    assert read == ["The <b>red</b> dog."]


def test_placeholders_and_terms_are_in_the_answer(translator: Translator) -> None:
    options = AnswerOptions(glossary=Glossary.of([("dog", "number")]))
    (answer,) = translator.predict(["The dog {name} sees a cat."], options)
    assert "{name}" in answer.text
    assert "number" in answer.text
    assert not [warning for warning in answer.warnings if "missing" in warning]


def test_terms_are_words_of_their_own(translator: Translator) -> None:
    terms = [("red", "old"), ("dog", "number"), ("sees", "blue"), ("cat", "dog")]
    (answer,) = translator.predict(["The red dog sees a cat."], AnswerOptions(glossary=Glossary.of(terms)))
    for _, target in terms:
        assert re.search(rf"(?:^|\s){target}", answer.text), answer.text


def test_phrases_hold_for_a_text_as_a_whole(translator: Translator, read: list[str]) -> None:
    options = AnswerOptions(phrases=("blue cat",), beginning="The old")
    (answer,) = translator.predict(["The red dog. A cat sees it."], options)
    assert read == ["The red dog. A cat sees it."]
    assert answer.text.startswith("The old")
    assert "blue cat" in answer.text


def test_a_phrase_that_does_not_fit_is_told(translator: Translator) -> None:
    phrase = "number " * 30
    (answer,) = translator.predict(["The red dog."], AnswerOptions(phrases=(phrase,)))
    assert f"{phrase!r} is missing" in answer.warnings


def test_every_answer_says_what_is_known_about_it(translator: Translator) -> None:
    (answer,) = translator.predict(["The red dog."])
    assert "".join(answer.tokens).strip() == answer.text
    assert len(answer.tokens) == len(answer.probabilities)
    assert all(0 <= probability <= 1 for probability in answer.probabilities)
    sources, targets = zip(*answer.alignment, strict=True)
    assert set(sources) <= {0, 1, 2}
    assert set(targets) <= set(range(len(answer.text.split())))
    assert answer.pharaoh.split() == [f"{one}-{other}" for one, other in answer.alignment]


def test_it_can_be_left_out(translator: Translator) -> None:
    (known,) = translator.predict(["The red dog."])
    (answer,) = translator.predict(["The red dog."], AnswerOptions(examined=False))
    assert answer.text == known.text
    assert (answer.tokens, answer.alignment, answer.probabilities) == ((), (), ())


def test_a_tally_counts_texts_and_not_their_parts(translator: Translator) -> None:
    tally = Tally()
    examples = [Example(text, None, (), row) for row, text in enumerate(["The red dog. A cat.", "", "A dog."], 1)]
    answers = list(translator.predict_stream(examples, tally=tally))
    assert [example.row for example, _ in answers] == [1, 2, 3]
    assert answers[1][1].text == ""
    assert tally.texts == 3
    assert tally.tokens > 0


def test_generation_settings_hold_for_a_call_only(translator: Translator) -> None:
    before = translator.card
    options = AnswerOptions(generation={"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 5})
    (answer,) = translator.predict(["The red dog."], options)
    assert len(answer.alternatives) == 2
    assert translator.card == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (AnswerOptions(generation={"num_beans": 3}), "num_beans"),
        (AnswerOptions(generation={"num_beams": 0}), "num_beams"),
        (AnswerOptions(long_input="windows"), "windows"),
        (AnswerOptions(long_input="sentences", phrases=("red",)), "'sentences' reads it in parts"),
        (AnswerOptions(generation={"do_sample": True, "num_beams": 1}, phrases=("red",)), "do_sample"),
        (AnswerOptions(generation={"do_sample": True}, glossary=Glossary.of([("dog", "cat")])), "do_sample"),
    ],
)
def test_what_cannot_be_done_is_refused(translator: Translator, options: AnswerOptions, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        translator.predict(["The red dog."], options)


def test_a_placeholder_does_not_stand_against_drawing(translator: Translator) -> None:
    """Nobody asked for it: it is in the answer if it is drawn, and missed otherwise."""
    options = AnswerOptions(generation={"do_sample": True, "num_beams": 1})
    (answer,) = translator.predict(["The dog {name} sees a cat."], options)
    assert ("{name}" in answer.text) != ("the placeholder {name} is missing" in answer.warnings)


def test_settings_are_checked_wherever_they_change(translator: Translator) -> None:
    examples = [Example("The red dog.", None, (), 1)]
    with pytest.raises(RequestError, match="num_beans"):
        translator.write(examples, num_beans=3)
    with pytest.raises(RequestError, match="min_new_tokens 12 exceeds max_new_tokens 4"):
        translator.write(examples, min_new_tokens=12, max_new_tokens=4)


def test_of_a_long_line_every_sentence_is_answered_and_few_are_held(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    whole = writing.draft

    def watched(author: Any, passages: Sequence[writing.Passage], *rest: Any, **options: Any) -> Any:
        held.append(len(passages))
        return whole(author, passages, *rest, **options)

    monkeypatch.setattr(writing, "draft", watched)
    monkeypatch.setattr(writing, "WRITTEN_TOGETHER", 64)
    sentences = [f"The dog number {number} sees a cat." for number in range(600)]
    options = AnswerOptions(generation={"num_beams": 1, "max_new_tokens": 3})
    (answer,) = translator.predict([" ".join(sentences)], options)
    assert [part for part, _ in answer.parts] == sentences
    assert held == [64] * 9 + [24]
    some = sentences[::60]
    alone = [translator.predict([sentence], options)[0].text for sentence in some]
    assert alone == [text for part, text in answer.parts if part in some]


@pytest.mark.parametrize("job", ["translation", "summarization"])
def test_a_shortest_length_is_reached_with_words(ignorant: Callable[..., Any], job: str) -> None:
    """The start token and padding are tokens as well, and say nothing."""
    task = ignorant(job, max_target_length=200)
    changes = {"num_beams": 1, "do_sample": True, "temperature": 100.0, "min_new_tokens": 200}
    passage = writing.Passage(Example("The red dog.", None, (), 1))
    (drafted,) = writing.draft(task, [passage], search_settings(task, **changes))
    written = set(drafted.hypotheses[0].tokens)
    assert len(written) > 100
    assert not written & {task.target_tokenizer.special.bos, task.target_tokenizer.special.pad}


@pytest.mark.parametrize("forced", [True, False])
def test_an_end_that_was_forced_is_no_end(translator: Translator, forced: bool) -> None:
    end = translator.card.generation.eos_token_id
    changes = {"min_new_tokens": 5, "max_new_tokens": 5} | ({"forced_eos_token_id": end} if forced else {})
    (answer,) = translator.write([Example("The red dog.", None, (), 1)], **changes)
    assert not answer.is_complete


def test_pieces_of_a_stream_make_the_greedy_answer(translator: Translator) -> None:
    changes = {"no_repeat_ngram_size": 1, "min_new_tokens": 8}
    pieces = list(translator.stream("The red dog.", **changes))
    (answer,) = translator.predict(["The red dog."], AnswerOptions(generation={"num_beams": 1, **changes}))
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1
