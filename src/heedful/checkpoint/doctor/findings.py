"""What the doctor found, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """The checkpoint cannot be used as it is."""
    WARNING = "warning"
    """It can be used, and probably does not answer as it should."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing about a checkpoint."""

    severity: Severity
    kind: str
    """A word for machines, such as ``wrapper_prefix``."""
    what: str
    cause: str | None = None
    """The likely one."""
    remedy: str | None = None
    names: tuple[str, ...] = ()
    """Tensors or files that it is about."""


def error(
    kind: str, what: str, cause: str | None = None, remedy: str | None = None, *, names: Sequence[str] = ()
) -> Finding:
    """A finding that keeps the checkpoint from being used."""
    return Finding(Severity.ERROR, kind, what, cause, remedy, tuple(names))


def warning(
    kind: str, what: str, cause: str | None = None, remedy: str | None = None, *, names: Sequence[str] = ()
) -> Finding:
    """A finding that should be looked at before the checkpoint is used."""
    return Finding(Severity.WARNING, kind, what, cause, remedy, tuple(names))


def note(
    kind: str, what: str, cause: str | None = None, remedy: str | None = None, *, names: Sequence[str] = ()
) -> Finding:
    """A finding that is good to know."""
    return Finding(Severity.NOTE, kind, what, cause, remedy, tuple(names))
