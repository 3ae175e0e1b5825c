"""Sentences end where a reader would say they do, and no character between them is lost."""

from __future__ import annotations

import time
from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heedful.text.sentence_rules import RULES
from heedful.text.sentences import split_sentences

SENTENCES: dict[str, list[str]] = {
    "en": [
        "Dr. Jane Miller met Mr. Brown at 5 p.m. on Friday.",
        "The flat costs $1,250.50 a month, i.e. 15 p.c. more!",
        "J. R. R. Tolkien and A. I. Smith never met.",
        "He has lived in the U.S. since 1999.",
        "They moved to the U.S. Army base at St. Albans.",
        "See fig. 3, vol. II and pp. 12–14.",
        "Was it No. 5?",
        "No.",
        "I won’t.",
        "Mr. and Mrs. Smith left Acme Inc. in May.",
        "It closed at 6 a.m.",
        "The end.",
        '"Stop!" she cried.',
        "(It was late.)",
        "“Come in.”",
        "She brought pens, paper, etc.",
        "The room was cold.",
        "Visit https://example.org/a.b?c=d!e or write to j.doe@example.org.",
        "Version 2.0.1 is out...",
        "Really?!",
        "Well … perhaps.",
        "And so did I.",
        "He liked the film (?) very much.",
        "20 people came.",
        "1. Wash your hands.",
        "2.1. Dry them.",
        "a) Use a towel.",
        "A long note ends here.[12]",
        "<b>Bold ones too.</b>",
        "<i>Slanted</i> beginnings do not matter.",
    ],
    "de": [
        "Am 3. Oktober traf Prof. Dr. Weber Hrn. Maier.",
        "Er brachte z. B. Brot, d. h. Brötchen, und Käse usw. mit.",
        "Die Nr. 7 in Abb. 2 zeigt bzw. Meier sagt es.",
        "Ludwig XIV. Herrscher von Frankreich, kam nicht.",
        "Das war 1990.",
        "„Halt!“, rief sie.",
        "„Wir gehen.“",
        "»Na gut.«",
        "Das kostet 3,50 € bzw. 1.000 Yen.",
        "Es war am 24.",
        "Danach kam niemand.",
        "Die Fa. Müller GmbH & Co. KG hat Äpfel.",
        "Um 8.30 Uhr begann es … oder später?",
    ],
    "fr": [
        "M. Dupont et Mme Petit habitent av. Foch.",
        "« Venez ! »",
        "Il est né vers 52 av. J.-C.",
        "Elle est morte plus tard.",
        "Est-ce vrai ?",
        "Oui !",
        "L’été arrive, cf. p. 12 et art. 3.",
        "J.-P. Martin a payé 3,50 € à Mgr. Blanc.",
        "Il a tout vu, etc.",
        "Puis il est parti.",
        "À demain.",
    ],
    "es": [
        "El Sr. García y la Dra. López viven en EE.UU. desde 1990.",
        "¿Cómo está Ud. hoy?",
        "¡Muy bien!",
        "Véase la pág. 12, el núm. 3, etc.",
        "Después salieron.",
        "Vive en EE. UU. desde 1999.",
        "Cuesta 1.000,50 euros, p. ej. Madrid.",
        "«Así es.»",
        "Él vino tarde.",
    ],
    "it": [
        "Il sig. Rossi e la dott.ssa Bianchi sono arrivati.",
        "È vero?",
        "Vedi pag. 3, art. 12, ecc.",
        "Poi torna.",
        "L'ing. Verdi abita in v.le Roma.",
        "Costa 3,50 euro!",
        "«Va bene.»",
    ],
    "pt": [
        "O Sr. Silva e a Dra. Costa moram na Av. Brasil.",
        "Você viu a pág. 10?",
        "Não!",
        "Custa R$ 1.000,50, etc.",
        "Depois ele saiu.",
        "É o art. 5 do n. 3.",
        "“Até amanhã.”",
    ],
    "nl": [
        "Dhr. Jansen en mevr. De Vries wonen hier, d.w.z. Amsterdam.",
        "'s Avonds is het koud.",
        "Zie blz. 12 en nr. 3.",
        "Klopt dat?",
        "Ja!",
        "Hij kocht brood, kaas, enz.",
        "Daarna ging hij.",
    ],
    "pl": [
        "Dr hab. Nowak mieszka przy ul. Polnej, np. Anna też.",
        "Zob. rys. 3 i art. 5.",
        "Prof. J. K. Kowalski przyszedł w 1990 r.",
        "Potem wyszedł.",
        "Naprawdę?",
        "Pomogłem im.",
        "Potem poszli.",
        "Łódź jest duża!",
    ],
    "ru": [
        "А. С. Пушкин родился в 1799 г.",
        "Он был поэтом.",
        "Он жил на ул. Садовой, т. е. Рядом.",
        "См. рис. 3 и стр. 12.",
        "«Кто там?»",
        "Это я!",
        "Мы купили хлеб, сыр и т. д.",
        "Потом ушли.",
    ],
    "zh": [
        "今天天气很好。",
        "你去哪儿？",
        "他说：“我去北京！”",
        "（他没有去。）",
        "价格是３．５元，真的吗?",
        "好的！！",
        "我用的是version 2.0。",
        "我……我不知道。",
        "“谁？”",
    ],
    "ja": [
        "今日は天気がいい。",
        "「はい。」と彼は言った。",
        "「行こう！」",
        "本当？",
        "（まだです。）",
        "値段は３．５円だ。",
        "すごい！！",
    ],
    "ko": [
        "오늘은 날씨가 좋다.",
        "어디 가세요?",
        "“서울에 갑니다.”",
        "정말요?!",
        "네.",
        "3.5달러입니다.",
        "네!",
    ],
}
SHARED = [
    "Dr. Smith left at 3.15.",
    "Er kam z.B. nicht.",
    "Sie ging.",
    "Où ça ?",
    "यह एक वाक्य है।",
    "दूसरा वाक्य।",
    "هل هذا صحيح؟",
    "نعم.",
    "ეს ერთია.",
    "ეს მეორეა.",
]
"""For a language that is not known."""


def texts() -> st.SearchStrategy[str]:
    """Texts that are full of what matters here."""
    words = [*chain.from_iterable(sentence.split() for row in SENTENCES.values() for sentence in row)]
    signs = list(".!?…。！？．,;:()[]{}\"'“”„«»‹›「」。*_#<>/ \t\n\r\v\f\x1c\x1f\x85\xa0\u2028\u202f\u3000\u200b")
    return st.lists(st.sampled_from(words) | st.sampled_from([*signs, " ", " "]) | st.text(max_size=4)).map("".join)


def test_every_language_has_sentences_to_try() -> None:
    assert set(SENTENCES) == set(RULES)


@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_end_where_they_do(language: str) -> None:
    blank = "" if language in {"zh", "ja"} else " "
    assert split_sentences(blank.join(SENTENCES[language]), language).pieces == tuple(SENTENCES[language])


@pytest.mark.parametrize("language", [None, "xx", "sw"])
def test_an_unknown_language_is_split_by_what_languages_share(language: str | None) -> None:
    assert split_sentences(" ".join(SHARED), language).pieces == tuple(SHARED)


@pytest.mark.parametrize("code", ["de", "DE", "de-AT", "de_DE", "deu_Latn", "deu", "ger", "__de__", ">>deu<<"])
def test_codes_of_all_usual_forms_name_a_language(code: str) -> None:
    text = "Am 3. Oktober kam Hr. Maier."
    assert split_sentences(text, code).pieces == (text,)
    assert len(split_sentences(text, "en").pieces) > 1


@pytest.mark.parametrize("code", ["zh", "zho_Hans", "zh_CN", "cmn", None, "en"])
def test_chinese_is_split_whatever_the_language_is_said_to_be(code: str | None) -> None:
    assert split_sentences("".join(SENTENCES["zh"]), code).pieces == tuple(SENTENCES["zh"])


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\n\n", " \n\t\n ", "\u2028", "\x85"])
def test_a_line_is_never_put_together_with_the_next(line_break: str) -> None:
    split = split_sentences(f"  A title{line_break}and a line. Another one.\n", "en")
    assert split.pieces == ("A title", "and a line.", "Another one.")
    assert split.spaces == ("  ", line_break, " ", "\n")


@pytest.mark.parametrize("number", ["1.", "12.", "(3).", "2.1.", "2.1.3.", "IV.", "iv.", "A.", "b.", "c)"])
def test_the_number_of_an_item_stays_with_it(number: str) -> None:
    text = f"{number} Wash your hands."
    assert split_sentences(f"Read this:\n{text} Then go.").pieces == ("Read this:", text, "Then go.")


@given(texts(), st.sampled_from([None, *RULES]))
@example("", None)
@example(" \n ", "en")
@example(". . .", "en")
@example("。。 。", "zh")
def test_nothing_is_lost_or_changed(text: str, language: str | None) -> None:
    split = split_sentences(text, language)
    together = split.spaces[0] + "".join(map("".join, zip(split.pieces, split.spaces[1:], strict=True)))
    assert together == text
    assert split.replace(split.pieces) == split
    for piece in split.pieces:
        assert piece
        assert piece == piece.strip()
        assert len(piece.splitlines()) == 1
    assert all(not space.strip() for space in split.spaces)


@given(texts(), st.sampled_from([None, *RULES]))
def test_a_sentence_is_not_split_again(text: str, language: str | None) -> None:
    for piece in split_sentences(text, language).pieces:
        assert split_sentences(piece, language).pieces == (piece,)


@pytest.mark.parametrize(
    "unit",
    [
        ".",
        "!”",
        "a. ",
        ".<a",
        ". ",
        ".[1]",
        "。“",
        ".»",
        " »",
        "\t\n ",
        ". »",
        "A.",
        "'.",
        "(.)",
        "-",
        ".\u202f»",
        "</b>.",
    ],
)
def test_time_grows_with_the_length_of_a_text_and_no_faster(unit: str) -> None:
    def seconds(count: int) -> float:
        start = time.perf_counter()
        split_sentences(unit * count, "en")
        return time.perf_counter() - start

    assert seconds(20_000) < 4  # 0.1 s here; if it grew with the square, a minute
