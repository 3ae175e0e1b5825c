"""A page that explains: one file that asks the network for nothing and runs nothing but what it was written with."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heedful import __version__
from heedful.errors import RequestError
from heedful.evaluation.lettering import printable
from heedful.explanation.attention import AttentionView
from heedful.explanation.report.layout import Piece, pieces, sentences_of, written_pieces
from heedful.explanation.result import LOW_SOURCE, Explanation, LabelScores, WrittenExplanation

SCRIPTS = ("page.js", "heat.js", "classification.js", "written.js", "attention.js", "start.js")
"""In the order in which they are put together."""
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""In JSON they stand in strings only. What is not in ASCII, json escapes itself."""
DIGITS = 6
"""Significant digits of numbers in the page."""


Shown = Explanation | WrittenExplanation | AttentionView


def html_report(explanation: Shown, *others: Shown, names: Sequence[str] = ()) -> str:
    """An HTML page of one explanation, or of several: those of the same kind side by side.

    Args:
        names: a heading for each of them, such as the model that it is of.

    Raises:
        RequestError: there are names, and not one for each.
    """
    shown = (explanation, *others)
    if names and len(names) != len(shown):
        raise RequestError(f"{len(names)} names for {len(shown)} explanations", remedy="Give a name for each, or none.")
    views = [_view(one) | {"name": name} for one, name in zip(shown, names or [""] * len(shown), strict=True)]
    style, script = _page("page.css"), f'"use strict";\n(() => {{{_page(*SCRIPTS)}}})();'
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    title = escape(" · ".join(dict.fromkeys(_title(one) for one in shown)))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="heedful {__version__}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the explanation</a>
<header class="top"><h1>{title}</h1><button type="button" id="theme">Dark or light</button></header>
<main id="main" tabindex="-1"><noscript><p>The pictures of this report need JavaScript.</p></noscript></main>
<footer><p>Made by heedful {__version__}. This file is complete: it asks the network for nothing.</p></footer>
<script type="application/json" id="data">{_json(views)}</script>
<script>{script}</script>
</body>
</html>
"""


@cache
def _page(*names: str) -> str:
    """Files that ship beside this module, put together."""
    folder = files(__package__) / "page"
    return "\n" + "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    """Of the inside of an element, as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(views: object) -> str:
    return json.dumps(views, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _title(shown: Shown) -> str:
    if isinstance(shown, Explanation):
        return f"Why {printable(shown.claim)}?"
    return "Why these words?" if isinstance(shown, WrittenExplanation) else "Where attention goes"


def _view(shown: Shown) -> dict[str, Any]:
    if isinstance(shown, Explanation):
        return _classification(shown)
    return _written(shown) if isinstance(shown, WrittenExplanation) else _attention(shown)


def _classification(explanation: Explanation) -> dict[str, Any]:
    cut = pieces(explanation.text, [(word.start, word.end) for word in explanation.words])
    own = [word.score for word in explanation.words]
    rival = explanation.runner_up
    return {
        "kind": "classification",
        "pieces": cut,
        "label": explanation.label,
        "against": explanation.against,
        "probability": explanation.probability,
        "runner_up": None if rival is None else [rival.label, rival.probability],
        "own": {
            "logit": _short(explanation.logit),
            "bias": None if explanation.bias is None else _short(explanation.bias),
            "special": _short(sum(explanation.scores) - sum(own)),
            "words": _short(own),
        },
        "sum_line": explanation.sum_line,
        "labels": [_label(scores) for scores in explanation.labels],
        "verify": [[one.k, list(one.words), one.probability, one.random] for one in explanation.verify],
        "faithfulness": explanation.faithfulness or {},
        "notes": explanation.notes,
        "method": explanation.method,
    }


def _label(scores: LabelScores) -> dict[str, Any]:
    return {
        "label": scores.label,
        "probability": scores.probability,
        "logit": _short(scores.logit),
        "bias": _short(scores.bias),
        "special": _short(scores.special),
        "words": _short(scores.words),
    }


def _written(explanation: WrittenExplanation) -> dict[str, Any]:
    source, answer = pieces(explanation.text, explanation.spans), written_pieces(explanation)
    return {
        "kind": "written",
        "source": _text(source),
        "answer": _text(answer),
        "scores": _short(explanation.source),
        "prefix": _short(explanation.prefix),
        "special": _short(explanation.source_special),
        "start": _short(explanation.start),
        "bias": _short(explanation.bias),
        "logits": _short(explanation.logits),
        "probabilities": _short(explanation.probabilities),
        "share": _short(explanation.source_share),
        "low": LOW_SOURCE,
        "alignment": explanation.alignment,
        "notes": explanation.notes,
        "method": explanation.method,
    }


def _text(cut: Sequence[Piece]) -> dict[str, Any]:
    sentences, of_words = sentences_of(cut)
    return {"words": cut, "sentences": sentences, "sentence_of": of_words}


def _attention(attention: AttentionView) -> dict[str, Any]:
    measures = [("weights", attention.weights, 1.0)]
    if attention.norms is not None:
        measures.append(("norms of what is taken", attention.norms, float(attention.norms.max())))
    return {
        "kind": "attention",
        "of": attention.kind,
        "layers": attention.layers,
        "heads": attention.heads,
        "keys": attention.tokens,
        "queries": attention.queries,
        "measures": [{"name": name, "largest": top, "steps": _packed(array, top)} for name, array, top in measures],
    }


def _packed(values: NDArray[np.floating[Any]], largest: float) -> str:
    """256 steps from 0 to the largest, on a square-root scale so that 1 / 512 is not 0; deflated."""
    shares = np.clip(values, 0, largest) / max(largest, np.finfo(float).tiny)
    steps = np.rint(255 * np.sqrt(shares)).astype(np.uint8)
    return base64.b64encode(zlib.compress(steps.tobytes(), 1)).decode()


def _short(values: Any) -> Any:
    """Numbers with as many digits as a reader can use."""
    array = np.asarray(values, dtype=float)
    if array.ndim == 0:
        return float(f"{array:.{DIGITS}g}")
    return [_short(value) for value in array]
