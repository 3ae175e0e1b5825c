"""What keeps a config and weights from fitting each other, as text for people and as data for the doctor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from heedful.checkpoint import Located
from heedful.checkpoint.rules import Rules
from heedful.errors import CheckpointError
from heedful.families.family import Family

MAX_FAULTS = 40


class FaultKind(StrEnum):
    """Where a fault lies."""

    CONFIG = "config"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    MISSHAPEN = "misshapen"


@dataclass(frozen=True)
class Fault:
    """One thing that does not fit."""

    kind: FaultKind
    text: str
    name: str = ""
    """Upstream's, of the tensor; without a prefix where it is missing."""
    wanted: tuple[int, ...] | None = None
    """The shape of our tensor where the stored one makes another."""
    stored: tuple[int, ...] | None = None
    """What it makes; None where it cannot be made into ours at all."""


class UnfitError(CheckpointError):
    """A checkpoint whose config and weights do not fit each other."""

    def __init__(
        self,
        located: Located,
        family: Family,
        faults: Sequence[Fault],
        *,
        rules: Rules = (),
        wanted: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        """
        Args:
            rules: for the weights, where they were reached.
            wanted: names and shapes of all our tensors.
        """
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        shown = [f"  {fault.text}" for fault in faults[:MAX_FAULTS]]
        if len(faults) > MAX_FAULTS:
            shown.append(f"  … and {len(faults) - MAX_FAULTS} more")
        super().__init__(
            f"{located.folder} cannot be read as a checkpoint of the family {family.model_type}, {count}:\n"
            + "\n".join(shown),
            remedy=f"`heedful doctor {located.folder}` says more.",
        )
        self.faults = tuple(faults)
        self.rules = rules
        self.wanted = dict(wanted or {})
        self.of_config = not self.wanted
        """Whether the config itself cannot be read: then the weights were not looked at."""

    def of(self, kind: FaultKind) -> list[Fault]:
        """The faults of one kind."""
        return [fault for fault in self.faults if fault.kind is kind]


def config_faults(texts: Sequence[str]) -> list[Fault]:
    """Faults of a config as they are told."""
    return [Fault(FaultKind.CONFIG, text) for text in texts]
