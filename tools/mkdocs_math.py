"""Formulas of the documentation as MathML: browsers lay it out themselves, so no script or font is fetched."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Called by MkDocs with the HTML of each page."""
    return _FORMULA.sub(_mathml, content)


def _mathml(formula: re.Match[str]) -> str:
    kind, latex = formula.groups()
    return convert(html.unescape(latex).strip(), display="block" if kind == "div" else "inline")
