"""Glossaries and placeholders: terms are found, answers hold what they should, and what is missing is told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data import read_rows
from heedful.errors import DataError
from heedful.generation import Request, parse_settings, write_all
from heedful.generation.constraints import TEXT_START
from heedful.model import UniformSpec, build
from heedful.tasks.text_to_text.answer import TextAnswer
from heedful.tasks.text_to_text.glossary import MAX_ENTRIES, Glossary, Term
from heedful.tasks.text_to_text.phrases import beginning_of, phrases_of
from heedful.tasks.text_to_text.terminology import Terminology
from heedful.text import Tokenizer, TokenizerKind, TokenizerSettings

ENTRIES = [("Haus", "house"), ("Haus Boot", "house boat"), ("US", "USA"), ("东京", "Tokyo"), ("groß", "big")]
CONFLICT = r"two translations of '{}': 'b' \(.*{}\) and 'd' \(.*{}\)"


@cache
def tokenizer(kind: TokenizerKind = TokenizerKind.BPE) -> Tokenizer:
    texts = [row.values["text"] for row in read_rows("helpdesk:validation")]
    return Tokenizer.train(texts, TokenizerSettings(kind=kind, vocabulary_size=1000))


# Glossaries


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Das haus, HAUS!", [("haus", "house"), ("HAUS", "house")]),
        ("Hausboot, Neuhaus, Haus-", [("Haus", "house")]),
        ("ein haus boot", [("haus boot", "house boat")]),
        ("tell us of the US", [("US", "USA")]),
        ("我在东京都", [("东京", "Tokyo")]),
        ("GROß und gros", [("GROß", "big")]),
        ("İHaus Haus", [("Haus", "house")]),
        ("", []),
    ],
)
def test_terms_are_found_where_words_begin_and_end(text: str, found: list[tuple[str, str]]) -> None:
    terms = Glossary.of(ENTRIES).find(text)
    assert [(text[term.start : term.end], term.term.target) for term in terms] == found


@given(st.lists(st.text("aAb B界", min_size=1, max_size=3).filter(str.strip)), st.text("aAb B界", max_size=12))
def test_terms_never_overlap_and_are_what_they_say(sources: list[str], text: str) -> None:
    terms = Glossary.of((source, "x") for source in sources).find(text)
    folded = {source.strip().lower() for source in sources}
    for one, other in pairwise(terms):
        assert one.end <= other.start
    for term in terms:
        assert text[term.start : term.end].lower() in folded


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("g.tsv", "Haus\thouse\n\nBoot\tboat\n"),
        ("g.tsv", "source\ttarget\nHaus\thouse\nBoot\tboat\n"),
        ("g.csv", "\ufeffSource, Target\r\nHaus,house\r\nBoot,boat\r\n"),
        ("g.csv", '"Haus","house"\n"Boot","boat"\n'),
        ("g.csv", "target,source\nhouse,Haus\nboat,Boot\n"),
        ("g.json", '{"Haus": "house", "Boot": "boat"}'),
        ("g.jsonl", '{"source": "Haus", "target": "house"}\n{"source": "Boot", "target": "boat", "note": 1}\n'),
    ],
)
def test_a_file_is_read(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    terms = Glossary.read(tmp_path / name).terms
    assert [(term.source, term.target) for term in terms] == [("Haus", "house"), ("Boot", "boat")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("g.csv", "source,target\nA,b\n\nA,d\n", CONFLICT.format("A", "line 2", "line 4")),
        ("g.tsv", "Ab\tb\naB\td\n", CONFLICT.format("aB", "line 1", "line 2")),
        ("g.json", '{"Ab": "b", "ab": "d"}', CONFLICT.format("ab", "entry 1", "entry 2")),
        ("g.tsv", "a\tb\tc\n", r"line 1 has 3 fields"),
        ("g.csv", 'a,b\n"c', r"line 2 is not written properly"),
        ("g.tsv", "a\t\n", r"line 1: the target term has 0 characters"),
        ("g.tsv", f"{'a' * 201}\tb\n", r"line 1: the source term has 201 characters"),
        ("g.tsv", "\n\n", r"holds no terms"),
        ("g.json", "[]", r"not an object"),
        ("g.json", '{"a": 1}', r"entry 1: a term is no text"),
        ("g.jsonl", '{"source": "a"}', r"line 1: has no column 'target'"),
        ("g.docx", "", r"does not tell its format"),
    ],
)
def test_an_impossible_file_is_refused(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words):
        Glossary.read(tmp_path / name)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_bytes(b"a\tb\nc\t\xff\n")
    with pytest.raises(DataError, match=r"line 2 .*0xff"):
        Glossary.read(tmp_path / "g.tsv")


def test_the_same_entry_twice_is_no_conflict() -> None:
    assert Glossary.of([("A", "b"), ("A", "b"), ("a", "c")]).find("A a")[0].term.target == "b"


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(DataError, match="100,001 entries"):
        Glossary((Term("a", "b"),) * (MAX_ENTRIES + 1))


# Tokens


@pytest.mark.parametrize("kind", list(TokenizerKind))
@pytest.mark.parametrize("text", ["password", "Wi Fi", "密码"])
@pytest.mark.parametrize("before", ["", "the ", "(", "我的"])
def test_a_phrase_stands_where_it_is_written(kind: TokenizerKind, text: str, before: str) -> None:
    """The tokens of a text hold one of the alternatives, wherever the phrase stands in it."""
    phrases = phrases_of(tokenizer(kind), text, anywhere=True)
    assert phrases
    (encoding,) = tokenizer(kind).encode_batch([f"{before}{text}"])
    tokens = tuple(token for token, special in zip(encoding.ids, encoding.special, strict=True) if not special)
    assert any(tokens[-len(phrase) :] == phrase for phrase in phrases)


@pytest.mark.parametrize("kind", [TokenizerKind.BPE, TokenizerKind.UNIGRAM])
@pytest.mark.parametrize("word", ["password", "zqxj"])
def test_a_word_can_follow_another(kind: TokenizerKind, word: str) -> None:
    """Also one that begins with a letter that no token has behind a blank."""
    (before,) = beginning_of(tokenizer(kind), "the")
    first, *others = phrases_of(tokenizer(kind), word)
    assert tokenizer(kind).decode([*before, *first]) == f"the {word}"
    assert all(other[0] == TEXT_START for other in others), "without a blank it begins a text only"


def test_what_a_tokenizer_cannot_write_has_no_phrases() -> None:
    assert phrases_of(tokenizer(TokenizerKind.CHARACTERS), "{ñ}") == ()


# Answers


def written(terminology: Terminology, texts: Sequence[str], **options: object) -> list[TextAnswer]:
    """What a model that knows nothing writes."""
    tiny = UniformSpec(d_model=8, num_layers=1, num_heads=2, d_ff=12)
    model = build(tiny.encoder_decoder(tokenizer().vocabulary_size), seed=0).eval()
    special = tokenizer().special
    assert special.bos is not None and special.eos is not None
    settings = parse_settings(
        {"decoder_start_token_id": special.bos, "eos_token_id": special.eos, "max_new_tokens": 60, **options}
    )
    demands = [terminology.demands_of(text) for text in texts]
    requests = [
        Request(
            number,
            tuple(tokenizer().encode_batch([text])[0].ids),
            (special.bos,),
            settings,
            constraints=each.constraints,
        )
        for number, (text, each) in enumerate(zip(texts, demands, strict=True))
    ]
    answers = dict(write_all(model, requests))
    return [
        each.checked(TextAnswer(tokenizer().decode(answers[number][0].tokens).strip(), answers[number][0].score))
        for number, each in enumerate(demands)
    ]


def test_an_answer_holds_what_its_text_asks_for() -> None:
    terminology = Terminology(tokenizer(), Glossary.of([("Kennwort", "password"), ("Netz", "WiFi")]))
    answers = written(
        terminology,
        [
            "Das Kennwort von {name} ist %s, sagt {name}.",
            "Mein Netz und dein Netz",
            "Nichts, siehe https://a.b/c",
        ],
    )
    first, second, third = (answer.text for answer in answers)
    assert "password" in first
    assert first.count("{name}") == 2
    assert first.count("%s") == 1
    assert second.count("WiFi") == 2
    assert "https://a.b/c" in third
    assert all(answer.warnings == () for answer in answers)


def test_what_is_missing_is_told() -> None:
    terminology = Terminology(tokenizer(), Glossary.of([("Kennwort", "password")]))
    demands = terminology.demands_of("Kennwort {name}, Kennwort {name}")
    answer = demands.checked(TextAnswer("password {name}", -1.0, warnings=("w",), alternatives=("x",)))
    assert answer.warnings == (
        "w",
        "the placeholder {name} is missing",
        "the glossary's 'password' for 'Kennwort' is missing",
    )
    assert demands.checked(TextAnswer("password {name} password {name}", -1.0)).warnings == ()
    glued = demands.checked(TextAnswer("apassword {name} passwords {name}", -1.0)).warnings
    assert glued == ("the glossary's 'password' for 'Kennwort' is missing",)
    (short,) = written(terminology, ["Kennwort {name}, Kennwort {name}"], max_new_tokens=3)
    assert "the placeholder {name} is missing" in short.warnings


def test_what_the_tokenizer_cannot_write_is_taken_out_and_put_back() -> None:
    marked = Terminology(tokenizer(TokenizerKind.WORDPIECE)).take_out("Hello {name}, see %s now")
    assert marked.text == "Hello, see now"
    whole = marked.put_back("Bonjour, vois maintenant", ((0, 0), (1, 1), (2, 2)))
    assert whole == "Bonjour {name}, vois %s maintenant"


def test_what_the_tokenizer_can_write_stays() -> None:
    assert Terminology(tokenizer()).take_out("<b>{name}</b>, %s").text == "{name}, %s"


def test_a_term_inside_of_a_placeholder_is_none() -> None:
    demands = Terminology(tokenizer(), Glossary.of([("name", "password")])).demands_of("{name}: name")
    assert demands.placeholders == ("{name}",)
    assert [term.start for term in demands.terms] == [8]


def test_markup_may_be_left_to_the_model() -> None:
    terminology = Terminology(tokenizer(), keep_markup=False)
    assert terminology.take_out("<b>{name}</b>").text == "<b>{name}</b>"
    assert terminology.demands_of("<b>{name}</b>").constraints == ()
