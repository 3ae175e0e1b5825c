"""Explanations in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heedful.checkpoint.atomic import write_text
from heedful.errors import OutputError, RequestError
from heedful.explanation.report.html import Shown, html_report
from heedful.explanation.report.picture import save_picture
from heedful.explanation.result import Explanation, WrittenExplanation

ENDINGS = (".html", ".json", ".svg", ".png")


def checked_ending(path: str | Path) -> str:
    """The ending of ``path``, which says what to write there.

    Raises:
        RequestError: it is none of :data:`ENDINGS`.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise RequestError(f"cannot save an explanation as {path}", remedy=f"End its name in {', '.join(ENDINGS)}.")
    return ending


def save(
    explanation: Explanation | WrittenExplanation, path: str | Path, *others: Shown, names: Sequence[str] = ()
) -> None:
    """Write a report (.html), the data (.json) or a picture (.svg, .png), by the ending of ``path``.

    Args:
        others: what stands beside it in a report; nothing else can hold several.
        names: as of :func:`html_report`.

    Raises:
        RequestError: another ending, or others in what holds one.
        OutputError: there is a folder, or something else that is no file, of that name; or it cannot be written.
        JobError: the disk is full.
    """
    path, ending = Path(path), checked_ending(path)
    if others and ending != ".html":
        raise RequestError(f"{path} holds one explanation, not {1 + len(others)}", remedy="End its name in .html.")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is no file", remedy="Choose another name.")
    if ending == ".html":
        write_text(path, html_report(explanation, *others, names=names))
    elif ending == ".json":
        write_text(path, explanation.to_json())
    else:
        save_picture(explanation, path)
