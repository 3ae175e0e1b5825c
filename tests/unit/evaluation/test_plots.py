"""Pictures: what they show, and that drawing them leaves no trace."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib.font_manager import fontManager
from matplotlib.image import imread

from heedful.errors import DataError, OutputError, RequestError
from heedful.evaluation import lettering
from heedful.evaluation.plots import save_confusion_matrix, save_loss_curves
from heedful.metrics import CLASSIFICATION_METRICS

SUFFIXES = (".png", ".svg")


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def no_other_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "FALLBACK_FONTS", ())


@pytest.fixture
def chinese_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An installed font that draws 退 and 款, as black squares, and nothing else."""
    pen = TTGlyphPen(None)
    for step, point in enumerate([(100, 0), (100, 800), (900, 800), (900, 0)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    square, empty = pen.glyph(), TTGlyphPen(None).glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "tui", "kuan"])
    builder.setupCharacterMap({ord("退"): "tui", ord("款"): "kuan"})
    builder.setupGlyf({".notdef": empty, "tui": square, "kuan": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "tui": (1000, 100), "kuan": (1000, 100)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "squares.ttf")
    before = fontManager.ttflist.copy()
    fontManager.addfont(tmp_path / "squares.ttf")
    monkeypatch.setattr(lettering, "FALLBACK_FONTS", ("A font that is not installed", "Squares"))
    yield "Squares"
    fontManager.ttflist[:] = before


def random_matrix(size: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """A plausible confusion matrix: mostly right, a few errors."""
    rng = np.random.default_rng(seed)
    return np.diag(rng.integers(20, 50, size)) + rng.poisson(1.5 / size, (size, size))


def texts(path: Path) -> list[str]:
    """What an SVG says, from its text elements."""
    return [element.text or "" for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def picture(path: Path) -> npt.NDArray[Any]:
    """The red, green and blue of a PNG, (height, width, 3) in [0, 1]."""
    return np.asarray(imread(path))[..., :3]


def draw(path: Path, labels: list[str], seed: int = 0) -> Path:
    save_confusion_matrix(random_matrix(len(labels), seed), labels, path)
    return path


# --- confusion matrix -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 15, 77, 151])
def test_svg_names_every_class_twice_and_gives_every_count(size: int, tmp_path: Path) -> None:
    labels = [f"intent_{n}" for n in range(size)]
    matrix = random_matrix(size)
    save_confusion_matrix(matrix, labels, tmp_path / "matrix.svg")
    said = texts(tmp_path / "matrix.svg")
    for label in labels:
        assert said.count(label) == 2
    counts = sorted(int(text) for text in said if text.isdigit())
    assert counts == sorted(matrix[matrix > 0].tolist())


@pytest.mark.parametrize("size", [1, 3, 15, 77])
@pytest.mark.parametrize("label", ["W" * 50, "ok", "退款"])
@pytest.mark.usefixtures("no_other_font")
def test_png_cuts_nothing_off_at_its_edges(size: int, label: str, tmp_path: Path) -> None:
    image = picture(draw(tmp_path / "matrix.png", [label] * size))
    margin = 6
    assert (image < 0.5).any()
    for edge in (image[:margin], image[-margin:], image[:, :margin], image[:, -margin:]):
        assert (edge == 1).all()


def test_right_answers_are_blue_wrong_ones_orange_and_nothing_is_white(tmp_path: Path) -> None:
    """With one class right and one wrong, in full: the colours are those of Okabe and Ito's palette."""
    save_confusion_matrix(np.array([[5, 0], [7, 0]]), ["a", "b"], tmp_path / "matrix.png")
    image = np.round(255 * picture(tmp_path / "matrix.png")).astype(int)
    blue = (image == (0x00, 0x72, 0xB2)).all(axis=-1)
    orange = (image == (0xD5, 0x5E, 0x00)).all(axis=-1)
    assert blue.sum() > 5000
    assert orange.sum() > 5000
    assert np.argwhere(blue).mean(axis=0)[0] < np.argwhere(orange).mean(axis=0)[0]  # row of a above that of b
    assert np.argwhere(blue).mean(axis=0)[1] == pytest.approx(np.argwhere(orange).mean(axis=0)[1], abs=3)


def test_a_class_without_examples_and_a_matrix_without_counts_are_drawn(tmp_path: Path) -> None:
    save_confusion_matrix(np.array([[3, 1], [0, 0]]), ["a", "b"], tmp_path / "one.svg")
    assert {"a", "b", "3", "1"} <= set(texts(tmp_path / "one.svg"))
    save_confusion_matrix(np.zeros((2, 2), np.int64), ["a", "b"], tmp_path / "none.svg")
    assert "0" not in texts(tmp_path / "none.svg")


def test_of_very_many_classes_those_with_the_most_errors_are_drawn(tmp_path: Path) -> None:
    matrix = np.diag(np.full(400, 9))
    matrix[399, 200] = 5
    matrix[7, 8] = 1
    save_confusion_matrix(matrix, [f"class_{n}" for n in range(400)], tmp_path / "matrix.svg")
    said = texts(tmp_path / "matrix.svg")
    drawn = {text for text in said if text.startswith("class_")}
    assert len(drawn) == 160
    assert {"class_399", "class_200", "class_7", "class_8"} <= drawn
    assert any("160 of 400 classes" in text for text in said)


def test_long_labels_are_cut_with_an_ellipsis(tmp_path: Path) -> None:
    said = texts(draw(tmp_path / "matrix.svg", ["x" * 40, "y" * 41, "退" * 21]))
    assert "x" * 40 in said
    assert "y" * 39 + "…" in said
    assert "退" * 19 + "…" in said


@pytest.mark.parametrize("label", ["price_$5_to_$6", r"\frac{1}{0}", "<b>&amp;", "#3", "'quoted\""])
def test_labels_are_text_and_never_markup(label: str, tmp_path: Path) -> None:
    assert texts(draw(tmp_path / "matrix.svg", [label, "b"])).count(label) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_control_characters_in_labels_become_spaces(suffix: str, tmp_path: Path) -> None:
    one = draw(tmp_path / f"one{suffix}", ["a\nb\x00c\td", "e"])
    other = draw(tmp_path / f"other{suffix}", ["a b c d", "e"])
    assert one.read_bytes() == other.read_bytes()


# --- scripts and fonts ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_other_font")
def test_svg_keeps_labels_that_no_installed_font_has(tmp_path: Path) -> None:
    said = texts(draw(tmp_path / "matrix.svg", ["退款", "物流 delay", "ok"]))
    assert said.count("退款") == said.count("物流 delay") == 2


@pytest.mark.usefixtures("no_other_font")
def test_png_numbers_the_labels_that_no_installed_font_has(tmp_path: Path) -> None:
    chinese = picture(draw(tmp_path / "chinese.png", ["ok", "退款", "物流 delay"]))
    numbered = picture(draw(tmp_path / "numbered.png", ["ok", "#1", "#2"]))
    below_the_title = slice(125, None)
    assert (chinese[below_the_title] == numbered[below_the_title]).all()
    assert (chinese != numbered).any(), "what is above does not say what # means"


def test_png_draws_chinese_with_the_font_that_has_it(chinese_font: str, tmp_path: Path) -> None:
    drawn = picture(draw(tmp_path / "drawn.png", ["ok", "退款"]))
    numbered = picture(draw(tmp_path / "numbered.png", ["ok", "#1"]))
    assert largest_square(drawn) == pytest.approx(SQUARE, abs=2)
    assert largest_square(numbered) < SQUARE / 2


SQUARE = 0.8 * 10 / 72 * 150
"""Side in pixels of the font's glyphs, 0.8 em at 10 points and 150 pixels an inch."""


def largest_square(image: npt.NDArray[Any]) -> int:
    """The side in pixels of the largest square that is nearly black."""
    ink = np.asarray((image < 0.2).all(axis=-1))
    sides = np.zeros(ink.shape, int)
    for row in range(1, len(ink)):
        for column in np.flatnonzero(ink[row, 1:]) + 1:
            above, left, corner = sides[row - 1, column], sides[row, column - 1], sides[row - 1, column - 1]
            sides[row, column] = min(above, left, corner) + 1
    return int(sides.max())


def test_a_label_that_the_font_has_only_in_part_is_numbered(chinese_font: str, tmp_path: Path) -> None:
    part = picture(draw(tmp_path / "part.png", ["退款", "退货"]))
    numbered = picture(draw(tmp_path / "numbered.png", ["退款", "#1"]))
    below_the_title = slice(125, None)
    assert (part[below_the_title] == numbered[below_the_title]).all()


# --- loss curves ------------------------------------------------------------------------------------------

RECORDS: list[dict[str, Any]] = [
    *({"step": step, "epoch": step / 100, "train_loss": 4 / step + 0.1, "rate": "fast"} for step in range(10, 500, 10)),
    {"step": 100, "validation_loss": 0.9, "validation_accuracy": 0.5, "validation_macro_f1": 0.4},
    {"step": 200, "validation_loss": 0.4125, "validation_accuracy": 0.7, "validation_macro_f1": 0.6},
    {"step": 1300, "validation_loss": 0.6, "validation_accuracy": 0.8, "validation_macro_f1": float("nan")},
]


def test_loss_curves_name_what_they_show_and_the_lowest_validation_loss(tmp_path: Path) -> None:
    save_loss_curves(RECORDS, tmp_path / "curves.svg")
    said = texts(tmp_path / "curves.svg")
    assert {"training", "validation", "lowest: 0.412 at step 200", "step", "loss (nats)"} <= set(said)
    assert {"accuracy", "macro F1", "higher is better"} <= set(said)
    assert "lower is better" not in said
    assert not {"rate", "epoch"} & set(said)


@pytest.mark.parametrize(("kept", "other"), [("train_loss", "validation"), ("validation_loss", "training")])
def test_one_kind_of_loss_is_enough(kept: str, other: str, tmp_path: Path) -> None:
    records = [{"step": record["step"], kept: record[kept]} for record in RECORDS if kept in record]
    save_loss_curves(records, tmp_path / "curves.svg")
    said = texts(tmp_path / "curves.svg")
    assert "loss (nats)" in said
    assert other not in said
    assert "higher is better" not in said


def test_metrics_stand_together_by_which_way_is_better_and_equal_curves_are_one(tmp_path: Path) -> None:
    names = [metric.name for metric in CLASSIFICATION_METRICS]
    records = [
        {"step": step, "train_loss": 1.0, **{f"validation_{name}": step / (50 + n) for n, name in enumerate(names)}}
        for step in (10, 20)
    ]
    for record in records:
        record["validation_micro_f1"] = record["validation_accuracy"]
    save_loss_curves(records, tmp_path / "curves.svg")
    said = texts(tmp_path / "curves.svg")
    legends = ["accuracy, micro F1", "macro F1", "weighted F1", "MCC", "ECE", "Brier score", "negative log likelihood"]
    assert [text for text in said if text in legends] == legends
    assert said.index("higher is better") < said.index("MCC") < said.index("lower is better") < said.index("ECE")


def test_a_single_record_and_losses_that_are_not_finite_are_drawn(tmp_path: Path) -> None:
    records = [{"step": 1, "train_loss": 2.0}, {"step": 2, "train_loss": float("inf")}]
    save_loss_curves(records, tmp_path / "some.svg")
    save_loss_curves(records[:1], tmp_path / "one.svg")
    assert (tmp_path / "some.svg").read_bytes() == (tmp_path / "one.svg").read_bytes()


@pytest.mark.parametrize("records", [[], [{"step": 1, "epoch": 1}], [{"step": 1, "train_loss": float("nan")}]])
def test_curves_without_any_loss_are_an_error(records: list[dict[str, float]], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no record has a finite train_loss") as caught:
        save_loss_curves(records, tmp_path / "curves.png")
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


# --- files and state --------------------------------------------------------------------------------------


def save_either(kind: str, path: Path) -> None:
    if kind == "matrix":
        draw(path, ["a", "b", "c"])
    else:
        save_loss_curves(RECORDS, path)


@pytest.mark.parametrize("kind", ["matrix", "curves"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_data_same_bytes_and_the_settings_of_matplotlib_do_not_matter(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    save_either(kind, tmp_path / f"one{suffix}")
    custom: dict[Any, Any] = {"axes.facecolor": "red", "font.size": 30.0, "savefig.dpi": 33, "svg.fonttype": "path"}
    with mpl.rc_context(custom):
        before = dict(mpl.rcParams)
        save_either(kind, tmp_path / f"two{suffix}")
        assert dict(mpl.rcParams) == before
    first = (tmp_path / f"one{suffix}").read_bytes()
    assert first == (tmp_path / f"two{suffix}").read_bytes()
    assert first.startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert b"matplotlib.org" not in first


@pytest.mark.parametrize("kind", ["matrix", "curves"])
def test_missing_folders_are_made_and_other_suffixes_refused(kind: str, tmp_path: Path) -> None:
    save_either(kind, tmp_path / "new" / "folder" / "picture.PNG")
    assert (tmp_path / "new" / "folder" / "picture.PNG").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(RequestError, match=r"picture\.pdf") as caught:
        save_either(kind, tmp_path / "picture.pdf")
    assert caught.value.remedy is not None
    assert ".png" in caught.value.remedy
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        save_either(kind, tmp_path / "file" / "picture.png")


def test_matplotlib_is_imported_only_to_draw_and_pyplot_never(tmp_path: Path) -> None:
    program = """
import sys, numpy
from pathlib import Path
import heedful.evaluation.report
from heedful.evaluation.plots import save_confusion_matrix, save_loss_curves
assert "matplotlib" not in sys.modules
save_confusion_matrix(numpy.eye(2, dtype=int), ["a", "b"], Path(sys.argv[1]) / "matrix.png")
save_loss_curves([{"step": 1, "train_loss": 1.0}], Path(sys.argv[1]) / "curves.svg")
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program, str(tmp_path)], check=True)
