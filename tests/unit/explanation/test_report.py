"""The page of an explanation as a file: what it holds and allows. What it does, a browser tells (tests/end_to_end)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.explanations import CARD, attention, explanation_of, full_explanation, spans_of, written_explanation

from heedful.errors import OutputError, RequestError
from heedful.explanation.attention import AttentionView
from heedful.explanation.report import ENDINGS, fragment, html_report, save
from heedful.explanation.report.layout import pieces, sentences_of, written_pieces
from heedful.explanation.result import Explanation, WrittenExplanation

HOSTILE = "</script><script>alert(1)</script><!-- & \u2028 <img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """What a browser would make of a page: its elements with their attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.is_inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))
        self.is_inside = True

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = False

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            self.found[-1][2].append(data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


def data_of(page: str) -> list[dict[str, Any]]:
    (found,) = [text for attributes, text in Elements(page).of("script") if attributes.get("id") == "data"]
    views = json.loads(found)
    assert isinstance(views, list)
    return views


@pytest.mark.parametrize(
    "explanation", [full_explanation(), written_explanation(), attention()], ids=lambda e: type(e).__name__
)
def test_the_policy_allows_what_the_page_was_written_with_and_nothing_else(
    explanation: Explanation | WrittenExplanation | AttentionView,
) -> None:
    elements = Elements(html_report(explanation))
    (policy,) = [a["content"] for a, _ in elements.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    (style,) = [text for _, text in elements.of("style")]
    (script,) = [text for attributes, text in elements.of("script") if "type" not in attributes]
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (style, script)
    ]
    assert directives == {
        "default-src": "'none'",
        "style-src": hashes[0],
        "script-src": hashes[1],
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    for _, attributes, _ in elements.found:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src", "srcset"}]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html_report(explanation))


def test_a_page_has_a_language_a_title_and_landmarks() -> None:
    elements = Elements(html_report(full_explanation()))
    assert elements.of("html")[0][0]["lang"] == "en"
    assert elements.of("title")[0][1] == elements.of("h1")[0][1] == "Why card_swallowed?"
    for landmark in ("main", "header", "footer"):
        assert len(elements.of(landmark)) == 1


def test_no_text_ends_the_data_or_begins_an_element() -> None:
    explanation = replace(
        explanation_of(HOSTILE, [1.0] * len(HOSTILE.split()), label=HOSTILE), notes=(HOSTILE,), tokens=(HOSTILE,) * 3
    )
    page = html_report(explanation, names=[HOSTILE])
    tags = [name for name, _, _ in Elements(page).found]
    assert tags == [name for name, _, _ in Elements(html_report(explanation_of())).found]
    (view,) = data_of(page)
    assert (view["label"], view["name"], view["notes"]) == (HOSTILE, HOSTILE, [HOSTILE])
    inside = page.split('id="data">')[1].split("</script>")[0]
    assert not set(inside) & set("<>&\u2028\u2029")


@given(st.text(max_size=40).filter(lambda text: not re.search("[\ud800-\udfff]", text)))
def test_every_text_comes_back_from_the_data(text: str) -> None:
    page = html_report(replace(explanation_of(), text=text, words=(), label=text))
    (view,) = data_of(page)
    assert "".join(piece for piece, _ in view["pieces"]) == text
    assert view["label"] == text
    assert page.encode()


def test_the_data_of_a_label_are_those_of_the_explanation() -> None:
    explanation = full_explanation()
    (view,) = data_of(html_report(explanation))
    assert view["own"]["words"] == [word.score for word in explanation.words]
    assert view["own"]["special"] == pytest.approx(0.125, abs=1e-6)
    assert [label["label"] for label in view["labels"]] == ["card_swallowed", "card_stolen", "top_up_failed"]
    assert view["verify"][1] == [2, ["swallowed", "card"], 0.25, 0.8125]
    assert [piece for piece, word in view["pieces"] if word is not None] == [word.text for word in explanation.words]


def test_the_data_of_what_was_written_are_those_of_the_explanation() -> None:
    explanation = written_explanation()
    (view,) = data_of(html_report(explanation))
    for name, array in {
        "scores": explanation.source,
        "prefix": explanation.prefix,
        "share": explanation.source_share,
    }.items():
        np.testing.assert_allclose(view[name], array, rtol=1e-5)
    assert "".join(piece for piece, _ in view["source"]["words"]) == explanation.text
    assert view["source"]["sentence_of"] == [0] * 4 + [1] * 4


def test_attention_is_kept_to_a_step_of_256() -> None:
    shown = attention(2, 3, 7, 5)
    (view,) = data_of(html_report(shown))
    assert [measure["name"] for measure in view["measures"]] == ["weights", "norms of what is taken"]
    for measure, values in zip(view["measures"], (shown.weights, shown.norms), strict=True):
        assert values is not None
        steps = np.frombuffer(zlib.decompress(base64.b64decode(measure["steps"])), np.uint8).reshape(2, 3, 7, 5)
        roots = np.sqrt(values / measure["largest"])
        np.testing.assert_allclose(steps / 255, roots, atol=0.5 / 255 + 1e-12)
    assert len(data_of(html_report(replace(shown, norms=None)))[0]["measures"]) == 1


def test_the_smallest_weight_of_a_long_text_does_not_vanish() -> None:
    even = replace(attention(1, 1, 1, 512), weights=np.full((1, 1, 1, 512), 1 / 512), norms=None)
    (view,) = data_of(html_report(even))
    steps = zlib.decompress(base64.b64decode(view["measures"][0]["steps"]))
    assert set(steps) == {11}


def test_several_explanations_stand_on_one_page_under_their_names() -> None:
    views = data_of(html_report(explanation_of(), written_explanation(), names=["a", "b"]))
    assert [(view["kind"], view["name"]) for view in views] == [("classification", "a"), ("written", "b")]
    with pytest.raises(RequestError, match="1 names for 2 explanations"):
        html_report(explanation_of(), explanation_of(), names=["a"])


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("explanation", [full_explanation(), written_explanation()], ids=lambda e: type(e).__name__)
def test_the_ending_says_what_is_saved(
    explanation: Explanation | WrittenExplanation, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / "new" / f"why{ending.upper()}"
    explanation.save(path)
    content = path.read_bytes()
    begins = {".html": b"<!doctype html>", ".json": b"{", ".svg": b"<?xml", ".png": b"\x89PNG"}
    assert content.startswith(begins[ending])
    if ending == ".json":
        assert json.loads(content)["text"] == explanation.text
    explanation.save(str(path))
    assert path.read_bytes() == content
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_other_endings_are_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot save an explanation as .*why\.pdf") as caught:
        explanation_of().save(tmp_path / "why.pdf")
    assert caught.value.remedy == "End its name in .html, .json, .svg, .png."


def test_several_explanations_are_saved_as_a_page_only(tmp_path: Path) -> None:
    save(explanation_of(), tmp_path / "both.html", attention(), names=["a", "b"])
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert [view["name"] for view in data_of(page)] == ["a", "b"]
    for ending in set(ENDINGS) - {".html"}:
        with pytest.raises(RequestError, match=f"both{ending} holds one explanation, not 2"):
            save(explanation_of(), tmp_path / f"both{ending}", explanation_of())


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "why.html").mkdir()
    with pytest.raises(OutputError, match="is no file"):
        explanation_of().save(tmp_path / "why.html")


@pytest.mark.parametrize("explanation", [full_explanation(), written_explanation()], ids=lambda e: type(e).__name__)
def test_a_notebook_shows_a_piece_of_html_that_runs_nothing(explanation: Explanation | WrittenExplanation) -> None:
    assert explanation._repr_html_() == fragment(explanation)
    elements = Elements(fragment(explanation))
    assert not elements.of("script")
    assert explanation.notes[0] in fragment(explanation)


def test_a_notebook_escapes_texts_and_colours_words_by_their_sign() -> None:
    hostile = explanation_of(HOSTILE, [1.0] * len(HOSTILE.split()), label=HOSTILE)
    assert not {name for name, _, _ in Elements(fragment(hostile)).found} & {"script", "img"}
    spans = Elements(fragment(explanation_of())).of("span")
    styles = {text: attributes["style"] or "" for attributes, text in spans}
    assert "rgba(0,114,178,0.60)" in styles["swallowed"]
    assert "rgba(213,94,0,0.25)" in styles["not"]
    assert "dashed" in styles["not"]


def test_pieces_are_the_text() -> None:
    spans = spans_of(CARD, ["card", "swallowed"])
    assert pieces(CARD, spans) == [
        ("my ", None),
        ("card", 0),
        (" was not ", None),
        ("swallowed", 1),
        (", it was stolen", None),
    ]
    assert pieces("", []) == []


def test_a_written_word_that_the_answer_does_not_show_is_added() -> None:
    assert written_pieces(written_explanation())[-3:] == [(".", 7), (" ", None), ("</s>", 8)]


def test_sentences_are_the_text_and_each_word_is_in_one() -> None:
    explanation = written_explanation()
    sentences, of_words = sentences_of(pieces(explanation.text, explanation.spans))
    assert sentences == [("A dog runs.", 0), (" ", None), ("It barks loudly.", 1)]
    assert of_words == [0, 0, 0, 0, 1, 1, 1, 1]
