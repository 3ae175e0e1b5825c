"""One tree of errors.

Every error names the thing, the value and, in ``remedy``, what to do about it. The command line prints both
and exits with ``exit_code``: 2 where the request was wrong, 1 where the job failed.
"""

from __future__ import annotations


class HeedfulError(Exception):
    """Base of every error that heedful raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class RequestError(HeedfulError):
    """What was asked for cannot be: the user can mend it."""

    exit_code = 2


class SpecError(RequestError):
    """A model's spec is impossible; the message lists every fault."""


class RecipeError(RequestError):
    """A recipe holds unknown keys or values of the wrong type; the message lists every fault."""


class DataError(RequestError):
    """A data source cannot be read, or holds rows that cannot be used."""


class InputTooLongError(RequestError):
    """A text is longer than the model can take and ``long_input`` is ``error``."""


class CheckpointError(RequestError):
    """A model folder is missing, incomplete or holds something else than it says."""


class OutputError(RequestError):
    """The place to write to is taken, read-only or not a folder."""


class UnsupportedError(RequestError):
    """What was asked of a model is not something this model has (a decoder, labels, ...)."""


class NotInstalledError(UnsupportedError):
    """What was asked for takes a library or a program that is not there."""


class JobError(HeedfulError):
    """The request was right, yet the job failed (disk full, loss not finite, ...)."""


class StoppedError(HeedfulError):
    """A signal stopped the job; what it had is saved."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
