"""What a person sees of an explanation: in the terminal, in a page, in a picture."""

from __future__ import annotations

from heedful.explanation.report.files import ENDINGS, checked_ending, save
from heedful.explanation.report.fragment import fragment
from heedful.explanation.report.html import html_report
from heedful.explanation.report.terminal import terminal
from heedful.explanation.result import Presentable, Presenter

Presentable.presenter = Presenter(save, terminal, fragment)

__all__ = ["ENDINGS", "checked_ending", "fragment", "html_report", "save", "terminal"]
