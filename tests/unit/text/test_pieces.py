"""Pieces of a text: put together as many as fit, cut where they do not, and answered with every blank in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.text.pieces import SplitText, cut_to_fit, ends_in_cjk, in_a_row, pack
from heedful.text.sentences import split_sentences


def words(text: str) -> int:
    return len(text.split())


def split(text: str, *pieces: str) -> SplitText:
    """A text and where these pieces of it stand, in their order."""
    spans, place = [], 0
    for piece in pieces:
        start = text.index(piece, place)
        place = start + len(piece)
        spans.append((start, place))
    return SplitText(text, tuple(spans))


@pytest.mark.parametrize(
    ("text", "pieces", "answers", "expected"),
    [
        (
            "  One.  Two.\n\n Three. ",
            ["One.", "Two.", "Three."],
            ["Eins.", "Zwei.", "Drei."],
            "  Eins.  Zwei.\n\n Drei. ",
        ),
        ("One. Two.\nThree.", ["One.", "Two.", "Three."], ["一。", "二。", "三。"], "一。二。\n三。"),
        ("“One.” Two? Three.", ["“One.”", "Two?", "Three."], ["“一。”", "二?", "三。"], "“一。”二?三。"),
        ("One.  Two.", ["One.", "Two."], ["一。", "二。"], "一。  二。"),
        ("一。二。", ["一。", "二。"], ["One.", "Two."], "One. Two."),
        ("一吗?二。", ["一吗?", "二。"], ["하나?", "둘."], "하나? 둘."),
        ("一。\n 二。", ["一。", "二。"], ["One.", "Two."], "One.\n Two."),
        ("一。 二。", ["一。", "二。"], ["イチ。", "ニ。"], "イチ。 ニ。"),
        ("하나. 둘.", ["하나.", "둘."], ["One.", "Two."], "One. Two."),
        ("unsplittable", ["unsplit", "table"], ["eins", "zwei"], "einszwei"),
        ("One. Two.", ["One.", "Two."], ["", ""], " "),
        (" \n", [], [], " \n"),
    ],
)
def test_answers_take_the_place_of_pieces(text: str, pieces: list[str], answers: list[str], expected: str) -> None:
    answered = split(text, *pieces).replace(answers)
    assert answered.text == expected
    assert answered.pieces == tuple(answers)


@pytest.mark.parametrize("text", ["你", "你。", "”你。”", "你!", "「あ」", "ア", "ｱ", "（Ａ）", "人々", "🙂你?"])
def test_chinese_and_japanese_are_told(text: str) -> None:
    assert ends_in_cjk(text)


@pytest.mark.parametrize("text", ["", "”", "a", "a.", "가", "ㄱ다.", "你.", "你a", "é!", "…", "你🙂", "ข", "1"])
def test_others_are_told_from_them(text: str) -> None:
    assert not ends_in_cjk(text)


def test_pieces_in_a_row() -> None:
    assert in_a_row(["One.", "Two.", "三。", "四。"]).text == "One. Two. 三。四。"
    assert in_a_row(["One.", "三。"]).pieces == ("One.", "三。")


def test_neighbours_are_put_together() -> None:
    text = "a b. c. d e f. g h i j k. l."
    spans = split(text, "a b.", "c.", "d e f.", "g h i j k.", "l.").spans
    packed = SplitText(text, tuple(pack(text, spans, words, 4)))
    assert packed.pieces == ("a b. c.", "d e f.", "g h i j k.", "l.")


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 30))
def test_windows_are_as_few_as_can_be_and_no_longer(lengths: list[int], most: int) -> None:
    sentences = [" ".join(["w"] * length) + "." for length in lengths]
    text = " ".join(sentences)
    one_by_one: list[str] = []
    for sentence in sentences:
        if one_by_one and words(f"{one_by_one[-1]} {sentence}") <= most:
            one_by_one[-1] += f" {sentence}"
        else:
            one_by_one.append(sentence)
    packed = SplitText(text, tuple(pack(text, split(text, *sentences).spans, words, most)))
    assert len(packed.pieces) == len(one_by_one)
    assert packed.text == " ".join(packed.pieces)
    for piece in packed.pieces:
        assert words(piece) <= most or piece in sentences


def test_windows_are_alike() -> None:
    sentences = [f"sentence{number}." for number in range(101)]
    text = " ".join(sentences)
    packed = pack(text, split(text, *sentences).spans, words, 50)
    assert [words(text[slice(*span)]) for span in packed] == [34, 34, 33]


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("short one", 9, ("short one",)),
        ("one two; three, four", 12, ("one two;", "three, four")),
        ("one two three", 7, ("one two", "three")),
        ("他来了，她走了，我也", 5, ("他来了，", "她走了，", "我也")),
        ("他来了她走了", 4, ("他来了", "她走了")),
        ("abcdefg", 3, ("abc", "def", "g")),
        ("ae\u0301ae\u0301", 2, ("a", "e\u0301", "a", "e\u0301")),
        ("👩‍🚀👩‍🚀", 3, ("👩‍🚀", "👩‍🚀")),
        ("a, bbbbbb cc, d", 4, ("a,", "bbb", "bbb", "cc,", "d")),
    ],
)
def test_what_does_not_fit_is_cut_where_it_hurts_least(text: str, most: int, expected: tuple[str, ...]) -> None:
    spans = cut_to_fit(text, [(0, len(text))], len, most)
    assert SplitText(text, tuple(spans)).pieces == expected


@given(st.text(), st.integers(1, 12))
def test_cutting_loses_nothing(text: str, most: int) -> None:
    sentences = split_sentences(text)
    fitted = SplitText(text, tuple(cut_to_fit(text, sentences.spans, lambda part: len(part.encode()), most)))
    assert "".join("".join(fitted.pieces).split()) == "".join(text.split())
    assert all(not space.strip() for space in fitted.spaces)
    assert fitted.replace(fitted.pieces).text == text
    for piece in fitted.pieces:
        assert piece


@given(st.text(alphabet="ab ,.;，。一二\n", max_size=200), st.integers(1, 12))
def test_pieces_fit_whatever_the_text(text: str, most: int) -> None:
    spans = cut_to_fit(text, split_sentences(text).spans, len, most)
    assert all(end - start <= most for start, end in spans)


@pytest.mark.parametrize("text", ["w" * 2000, "你" * 2000, "wwwwwwwwwwww " * 200])
def test_what_has_no_tokens_alone_is_cut_too(text: str) -> None:
    """Three characters make a token, and a text has two more: one character alone has nothing of its own."""
    spans = cut_to_fit(text, [(0, len(text.strip()))], lambda part: len(part) // 3 + 2, 20)
    assert len(spans) > 20
    assert all((end - start) // 3 + 2 <= 20 for start, end in spans)
    assert "".join("".join(text[start:end] for start, end in spans).split()) == "".join(text.split())
