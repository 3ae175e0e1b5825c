"""An explanation in a file."""

from __future__ import annotations

from pathlib import Path

from heedful.checkpoint.atomic import write_text
from heedful.errors import OutputError, RequestError
from heedful.explanation.report.html import html_report
from heedful.explanation.report.picture import save_picture
from heedful.explanation.result import Explanation, WrittenExplanation

ENDINGS = (".html", ".json", ".svg", ".png")


def save(explanation: Explanation | WrittenExplanation, path: str | Path) -> None:
    """Write a report (.html), the data (.json) or a picture (.svg, .png), by the ending of ``path``.

    Raises:
        RequestError: another ending.
        OutputError: there is a folder, or something else that is no file, of that name; or it cannot be written.
        JobError: the disk is full.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise RequestError(f"cannot save an explanation as {path}", remedy=f"End its name in {', '.join(ENDINGS)}.")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is no file", remedy="Choose another name.")
    if ending == ".html":
        write_text(path, html_report(explanation))
    elif ending == ".json":
        write_text(path, explanation.to_json())
    else:
        save_picture(explanation, path)
