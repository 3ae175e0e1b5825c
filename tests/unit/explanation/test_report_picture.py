"""Pictures of explanations: what they show, exactly."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread
from tests.explanations import explanation_of, full_explanation, spans_of, written_explanation

from heedful.errors import RequestError
from heedful.evaluation.plots import BLUE, ORANGE
from heedful.explanation.report import picture
from heedful.explanation.report.picture import save_picture
from heedful.explanation.result import Explanation, WrittenExplanation

SVG = "{http://www.w3.org/2000/svg}"


def svg_of(explanation: Explanation | WrittenExplanation, folder: Path) -> ElementTree.Element:
    save_picture(explanation, folder / "picture.svg")
    return ElementTree.parse(folder / "picture.svg").getroot()


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def filled(root: ElementTree.Element, colour: str) -> list[float]:
    """The opacity of each area of a colour."""
    styles = [element.get("style") or "" for element in root.iter(f"{SVG}path")]
    found = [style for style in styles if f"fill: {colour.lower()}" in style.lower()]
    return [float(match[1]) if (match := re.search(r"opacity: ([\d.]+)", style)) else 1.0 for style in found]


def test_words_stand_in_the_order_of_the_text_coloured_by_sign_and_strength(tmp_path: Path) -> None:
    root = svg_of(explanation_of(), tmp_path)
    shown = texts(root)
    assert shown[0].split() == ["card_swallowed", "87.5%"]
    assert shown[1] == "tokens +3.07, bias −0.50 = logit 2.575 ✓"
    assert shown[2:11] == ["my", "card", "was", "not", "swallowed", ",", "it", "was", "stolen"]
    boxes = filled(root, BLUE)
    assert max(boxes[:3]) == pytest.approx(0.6)  # the strongest word; bars are opaque
    assert 0.6 * 1.25 / 3 in [pytest.approx(opacity, abs=1e-6) for opacity in filled(root, ORANGE)]
    assert shown[11:17] == ["swallowed", "+3.00", "card", "+1.50", "not", "−1.25"]


def test_the_strongest_ten_words_have_bars(tmp_path: Path) -> None:
    text = " ".join(f"w{number}" for number in range(20))
    shown = texts(svg_of(explanation_of(text, [number / 10 for number in range(20)]), tmp_path))
    bars = shown[22:]
    assert bars == [part for number in range(19, 9, -1) for part in (f"w{number}", f"+{number / 10:.2f}")]


def test_a_long_text_is_drawn_in_part_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "WORDS_DRAWN", 20)
    text = " ".join(f"w{number}" for number in range(30))
    shown = texts(svg_of(explanation_of(text, [1.0] * 30), tmp_path))
    assert shown[1].endswith("the first 20 of 30 words")
    assert "w19" in shown
    assert "w20" not in shown


def test_a_heat_map_has_the_words_of_both_texts(tmp_path: Path) -> None:
    explanation = written_explanation()
    shown = texts(svg_of(explanation, tmp_path))
    assert shown[1:10] == list(explanation.written)
    assert shown[10:18] == list(explanation.words)
    assert shown[-1] == "full colour: 2.50 logits"


def test_a_long_text_is_a_heat_map_of_sentences(tmp_path: Path) -> None:
    explanation = written_explanation()
    text = " ".join([explanation.text] * 20)
    words = explanation.words * 20
    long = replace(
        explanation,
        text=text,
        words=words,
        spans=spans_of(text, words),
        source=np.tile(explanation.source, 20),
        alignment=(),
    )
    root = svg_of(long, tmp_path)
    shown = texts(root)
    assert shown[1:4] == ["Ein Hund rennt.", "Er bellt laut.", "</s>"]
    assert shown[4:44] == ["A dog runs.", "It barks loudly."] * 20
    rows, columns = [slice(0, 4), slice(4, 8), slice(8, 9)], [slice(0, 4), slice(4, 8)]
    largest = max(abs(explanation.source[row, column].sum()) for row in rows for column in columns)
    assert shown[-1] == f"full colour: {largest:.2f} logits"


@pytest.mark.parametrize("explanation", [full_explanation(), written_explanation()], ids=lambda e: type(e).__name__)
def test_a_png_has_the_colours_and_the_same_bytes_each_time(
    explanation: Explanation | WrittenExplanation, tmp_path: Path
) -> None:
    save_picture(explanation, tmp_path / "one.png")
    save_picture(explanation, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    pixels = (255 * np.asarray(imread(tmp_path / "one.png"))[..., :3]).round().astype(int).reshape(-1, 3)
    assert (pixels == [int(BLUE[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=1).sum() > 500


def test_markup_and_control_characters_are_text(tmp_path: Path) -> None:
    root = svg_of(explanation_of("<b>&\x1b[0m$x$", [1.0], label="<script>\x00"), tmp_path)
    assert texts(root)[2] == "<b>& [0m$x$"
    assert texts(root)[0].startswith("<script>")
    assert not list(root.iter(f"{SVG}script"))


def test_scores_that_are_all_zero_are_drawn(tmp_path: Path) -> None:
    assert "+0.00" in texts(svg_of(explanation_of("a b", [0.0, 0.0]), tmp_path))
    explanation = written_explanation()
    shown = texts(svg_of(replace(explanation, source=0 * explanation.source), tmp_path))
    assert shown[-1] == "full colour: 0.00 logits"


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"picture\.pdf"):
        save_picture(explanation_of(), tmp_path / "picture.pdf")
