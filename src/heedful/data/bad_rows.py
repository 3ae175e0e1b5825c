"""Rows that cannot be used: refused at once, or counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from heedful.errors import DataError

REASONS_KEPT = 5


class OnBadRow(StrEnum):
    """What happens to a row that cannot be used."""

    ERROR = "error"
    """Reading stops with an error that names it."""
    SKIP = "skip"
    """It is left out, counted and reported."""


@dataclass
class BadRows:
    """What was found wrong with the rows read so far."""

    policy: OnBadRow = OnBadRow.ERROR
    count: int = 0
    reasons: list[str] = field(default_factory=list)
    """The first few: file, row and fault."""

    def report(self, place: str, fault: str) -> None:
        """Take note of a row.

        Raises:
            DataError: the policy is ``error``.
        """
        if self.policy is OnBadRow.ERROR:
            raise DataError(
                f"{place}: {fault}", remedy="Mend the row, or set on_bad_row to skip to leave such rows out."
            )
        self.count += 1
        if len(self.reasons) < REASONS_KEPT:
            self.reasons.append(f"{place}: {fault}")

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user, a line each; nothing where all rows were good."""
        if not self.count:
            return ()
        more = [f"and {self.count - len(self.reasons):,} more"] * (self.count > len(self.reasons))
        return (f"{self.count:,} bad {'row' if self.count == 1 else 'rows'} skipped", *self.reasons, *more)
