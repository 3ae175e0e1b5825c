"""Labels of any script, in a picture with the fonts that happen to be installed."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

BASE_FONT = "DejaVu Sans"
"""Comes with matplotlib."""
FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "PingFang HK",
    "Hiragino Sans GB",
    "Heiti TC",
    "STHeiti",
    "Microsoft YaHei",
    "SimHei",
    "SimSun",
    "Arial Unicode MS",
    "Yu Gothic",
    "MS Gothic",
    "IPAexGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "NanumGothic",
)
"""Tried in this order for characters that the base font lacks."""
MAX_COLUMNS = 40
"""A longer label is cut in the picture; a Chinese character takes two columns."""


@dataclass(frozen=True, slots=True)
class Lettering:
    """How to write labels.

    ``families`` are tried for each character; ``widths`` are those of ``texts`` in em; ``replaced`` says whether
    numbers stand in for some labels.
    """

    families: list[str]
    texts: list[str]
    widths: list[float]
    replaced: bool

    @property
    def widest(self) -> float:
        """The width of the widest of ``texts`` in em."""
        return max(self.widths)


def letter(labels: Mapping[int, str], *, by_reader: bool) -> Lettering:
    """Find the installed fonts that draw ``labels``, numbered by class.

    A character that none of them has stays where the reader's own fonts will draw it (``by_reader``, as in an
    SVG); elsewhere its label is replaced by # and the number.
    """
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415 - matplotlib takes long to import
    from matplotlib.textpath import TextToPath  # noqa: PLC0415

    clean = {number: _cut(printable(label)) for number, label in labels.items()}
    families, missing = _cover(set("".join(clean.values())))
    if not by_reader:
        clean = {n: f"#{n}" if missing & set(text) else text for n, text in clean.items()}
    # An em dash is as wide as a Chinese character, and measuring what no font has would warn.
    measurable = str.maketrans(dict.fromkeys(missing, "—"))
    font, measure = FontProperties(family=families, size=100), TextToPath().get_text_width_height_descent
    widths = [measure(text.translate(measurable), font, ismath=False)[0] / 100 for text in clean.values()]
    return Lettering(families, list(clean.values()), widths, replaced=bool(missing) and not by_reader)


def _cover(characters: set[str]) -> tuple[list[str], set[str]]:
    """The installed families that are needed to draw ``characters``, and those that none of them has."""
    from matplotlib.font_manager import fontManager  # noqa: PLC0415 - matplotlib takes long to import

    families, missing = [BASE_FONT], _lacking(BASE_FONT, characters)
    installed = {entry.name for entry in fontManager.ttflist}
    for family in FALLBACK_FONTS:
        if missing and family in installed:
            lacking = _lacking(family, missing)
            families += [family] if lacking < missing else []
            missing = lacking
    return [*families, "sans-serif"], missing


def _lacking(family: str, characters: set[str]) -> set[str]:
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415

    font = get_font(findfont(FontProperties(family=[family])))
    return {character for character in characters if not font.get_char_index(ord(character))}


def printable(label: str) -> str:
    """The label with a space for each character that moves, colours or breaks a line."""
    return "".join(character if character.isprintable() else " " for character in label)


def _cut(label: str) -> str:
    if _columns(label) <= MAX_COLUMNS:
        return label
    while _columns(label) >= MAX_COLUMNS:
        label = label[:-1]
    return f"{label}…"


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
