"""What must stand in an answer as it stands in the text: placeholders of programs, and addresses."""

from __future__ import annotations

import re

_KINDS = {
    "template": r"\{\{[^{}\n]{1,80}\}\}",
    "shell": r"\$\{\w{1,80}\}|\$[A-Za-z_]\w{0,79}",
    "format": r"\{[\w.:!<>^+-]{0,80}\}",
    "printf": r"%(?:\(\w{1,80}\)|\d{1,3}\$)?[-+#0]{0,4}\d{0,4}(?:\.\d{1,4})?(?:l{0,2}[diuoxXfFeEgGcs]|@)(?![^\W_])",
    "address": r"(?:https?://|www\.)[^\s<>\"'{}]{1,2000}(?<![.,;:!?)\]»”’])",
    "mail": r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+",
}
PLACEHOLDER = re.compile("|".join(_KINDS.values()))
"""``{{x}}``, ``${name}``, ``$name``, ``{name}``, ``{0:.2f}``, ``%s``, ``%(name)d``, ``%1$s``; addresses."""


def placeholders(text: str) -> list[str]:
    """The placeholders and addresses of ``text``, in order, each as often as it stands there."""
    return PLACEHOLDER.findall(text)
