"""Markup is taken out of a text and stands around the right words of its answer, well formed again."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.data.documents.hypertext import VOID
from heedful.tasks.text_to_text.markup import TAG, take_out
from heedful.tasks.text_to_text.placeholders import PLACEHOLDER, placeholders

Alignment = tuple[tuple[int, int], ...]


@pytest.mark.parametrize(
    ("text", "plain", "answer", "alignment", "expected"),
    [
        (
            "The <b>red car</b>, dear.",
            "The red car, dear.",
            "La voiture rouge, chère.",
            ((0, 0), (1, 2), (2, 1), (3, 3)),
            "La <b>voiture rouge</b>, chère.",
        ),
        (  # two runs, since another word came between
            "I <b>give up</b> it",
            "I give up it",
            "Ich gebe es auf",
            ((0, 0), (1, 1), (2, 3), (3, 2)),
            "Ich <b>gebe</b> es <b>auf</b>",
        ),
        (  # the stop is in the element, and stays in it
            '<a href="x y">Here.</a> <i>There <b>now</b></i>!',
            "Here. There now!",
            "Hier. Jetzt dort!",
            ((0, 0), (1, 2), (2, 1)),
            '<a href="x y">Hier.</a> <i><b>Jetzt</b> dort</i>!',
        ),
        (  # a word without counterpart stands where its neighbours stand
            "<b>big house</b>",
            "big house",
            "la grande maison là",
            ((0, 1), (1, 3)),
            "la <b>grande maison là</b>",
        ),
        ("un<b>believ</b>able", "unbelievable", "unglaublich", ((0, 0),), "<b>unglaublich</b>"),
        ("I <b>love</b> you", "I love you", "我爱你", ((0, 0), (1, 1), (2, 2)), "我<b>爱</b>你"),
        ("一<br>二", "一 二", "one two", ((0, 0), (1, 1)), "one <br>two"),
        ("one <br/> two", "one two", "zwei eins", ((0, 1), (1, 0)), "<br/> zwei eins"),
        ("one two<br>", "one two", "zwei eins", ((0, 1), (1, 0)), "zwei eins<br>"),
        # nothing in the answer belongs to it: it stays, empty
        ("a <i><b>b</b></i> c", "a b c", "A C", ((0, 0), (2, 1)), "A<i><b></b></i> C"),
        ("a <b></b> c", "a c", "A C", ((0, 0), (1, 1)), "A <b></b> C"),
        # without an alignment by the places of words
        ("one <b>two</b> three", "one two three", "eins zwei drei", (), "eins <b>zwei</b> drei"),
        # what was not well formed before is neither lost nor doubled
        ("a</i> <b>b", "a b", "A B", ((0, 0), (1, 1)), "A</i> <b>B"),
        ("a < b and c > d", "a < b and c > d", "a < b und c > d", (), "a < b und c > d"),
        ("<b>a</b>", "a", "", (), "<b></b>"),
        # an element without text is one mark, with all that is in it
        ("<b> <i><u></i></b> x", " x", "y", ((0, 0),), "<b> <i><u></i></b> y"),
    ],
)
def test_tags_go_around_the_counterparts(
    text: str, plain: str, answer: str, alignment: Alignment, expected: str
) -> None:
    marked = take_out(text)
    assert marked.text == plain
    assert marked.put_back(answer, alignment) == expected


def test_what_cannot_be_written_is_put_back_too() -> None:
    text = "Hello <b>{name}</b>, see {x} {y} now"
    spans = [match.span() for match in re.finditer(r"\{\w+\}", text)]
    marked = take_out(text, spans)
    assert marked.text == "Hello, see now"
    links = ((0, 0), (1, 1), (2, 2))
    assert marked.put_back("Bonjour, vois maintenant", links) == "Bonjour <b>{name}</b>, vois {x} {y} maintenant"


words = st.sampled_from(["red", "car,", "(the", "houses.", "—", "x"])
trees: st.SearchStrategy[str] = st.recursive(
    st.lists(words, min_size=1, max_size=3).map(" ".join),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["b", "i", "a"]), inner).map(lambda pair: f"<{pair[0]} k='1'>{pair[1]}</{pair[0]}>"),
        st.lists(inner, min_size=1, max_size=3).map(" ".join),
        st.tuples(inner, inner).map("<br/> ".join),
    ),
    max_leaves=8,
)


def is_well_formed(text: str) -> bool:
    unclosed: list[str] = []
    for tag in TAG.finditer(text):
        if tag["void"] or tag["name"] in VOID:
            continue
        if not tag["close"]:
            unclosed.append(tag["name"])
        elif not unclosed or unclosed.pop() != tag["name"]:
            return False
    return not unclosed


@settings(max_examples=60)
@given(trees, st.lists(words, max_size=8).map(" ".join), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_it_is_well_formed_whatever_the_alignment(text: str, answer: str, links: list[tuple[int, int]]) -> None:
    """And no tag is lost, no letter of the answer changed."""
    assert is_well_formed(text)
    marked = take_out(text)
    assert not TAG.search(marked.text)
    whole = marked.put_back(answer, tuple(links))
    assert is_well_formed(whole)
    assert "".join(TAG.sub("", whole).split()) == "".join(answer.split())
    before, after = (Counter(tag[0] for tag in TAG.finditer(each)) for each in (text, whole))
    assert before.keys() == after.keys()
    assert all(after[tag] >= count for tag, count in before.items())


parts = st.sampled_from(["<b>", "</b>", "<i>", "</i>", "<br>", "<", ">", "a", "b2", " ", ".", "{x}", "é", "界"])
links = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))).map(tuple)


@settings(max_examples=200)
@given(st.lists(parts, max_size=14).map("".join), st.lists(parts, max_size=8).map("".join), links)
def test_no_markup_is_lost_whatever_it_is(text: str, answer: str, alignment: Alignment) -> None:
    marked = take_out(text, [match.span() for match in PLACEHOLDER.finditer(text)])
    whole = marked.put_back(answer, alignment)
    before, after = (Counter([*re.findall(r"</?\w+>", each), *placeholders(each)]) for each in (text, whole))
    assert all(after[markup] >= count for markup, count in before.items())
    extra = "".join(mark.markup for mark in marked.marks) + "".join(e.opening + e.closing for e in marked.elements)
    assert Counter("".join(answer.split())) <= Counter("".join(whole.split()))
    assert set(whole) <= set(answer) | set(extra) | {" "}


@pytest.mark.parametrize(
    "text",
    [
        "a <b>bold</b> word and a {x} <br/> here. " * 4000,
        "<p> text here " * 10_000,
        "<b></b> text " * 10_000,
        "<b>x " * 4000 + "</b>" * 4000,
    ],
    ids=["many", "unclosed", "empty", "nested"],
)
def test_of_much_markup_nothing_is_lost(text: str) -> None:
    """Whatever grew with the square of the markup would take minutes here."""
    marked = take_out(text)
    whole = marked.put_back(marked.text, ())
    assert Counter(tag[0] for tag in TAG.finditer(whole)) == Counter(tag[0] for tag in TAG.finditer(text))
    assert "".join(TAG.sub("", whole).split()) == "".join(TAG.sub("", text).split())
    assert is_well_formed(whole) == is_well_formed(text)


@settings(max_examples=50)
@given(trees)
def test_a_text_that_stays_the_same_keeps_its_markup(text: str) -> None:
    marked = take_out(text)
    count = len(marked.text.split())
    whole = marked.put_back(marked.text, tuple((word, word) for word in range(count)))
    assert is_well_formed(whole)
    again = take_out(whole)
    assert again.text.split() == marked.text.split()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hi {name}, {0:.2f} {} of {{ total }}!", ["{name}", "{0:.2f}", "{}", "{{ total }}"]),
        ("%s has %d of %(all)s, %1$s, %5.2f and %@.", ["%s", "%d", "%(all)s", "%1$s", "%5.2f", "%@"]),
        ("50% sure, 20%discount, 100 %", []),
        ("$name ${first_name} $5 US$", ["$name", "${first_name}"]),
        ("See https://a.org/b?c=1&d=(2). Or www.x.de, please", ["https://a.org/b?c=1&d=(2", "www.x.de"]),
        ("mail a.b+c@d-e.co.uk.", ["a.b+c@d-e.co.uk"]),
        ("a { b } c @d", []),
    ],
)
def test_placeholders_are_found(text: str, found: list[str]) -> None:
    assert placeholders(text) == found
