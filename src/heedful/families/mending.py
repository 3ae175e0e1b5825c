"""Which change of a config would make it fit the weights: each is tried before it is proposed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from heedful.checkpoint import Located, StoredWeights
from heedful.families.config import ConfigReader
from heedful.families.family import Family
from heedful.families.faults import FaultKind, UnfitError
from heedful.families.pretrained import Pretrained, understand

MAX_CHANGES = 3
MAX_TRIALS = 60


@dataclass(frozen=True)
class Mended:
    """A config that fits better."""

    config: Mapping[str, Any]
    changes: Mapping[str, tuple[object, object]]
    """Key -> its value, and the one that fits."""
    outcome: Pretrained | UnfitError


def mend_config(
    located: Located, config: Mapping[str, Any], weights: StoredWeights, family: Family, unfit: UnfitError
) -> Mended:
    """Change single numbers and switches as long as fewer weights are at fault."""
    mended = Mended(config, {}, unfit)
    while len(mended.changes) < MAX_CHANGES and isinstance(mended.outcome, UnfitError):
        best = min(_trials(located, mended, weights, family), key=_severity, default=None)
        if best is None or _severity(best) >= _severity(mended):
            break
        mended = best
    return mended


def _severity(mended: Mended) -> float:
    """Number of faults; those of a config say nothing of the weights, and are worse than any."""
    if isinstance(mended.outcome, Pretrained):
        return 0
    return float("inf") if mended.outcome.of_config else len(mended.outcome.faults)


def _trials(located: Located, before: Mended, weights: StoredWeights, family: Family) -> Iterator[Mended]:
    assert isinstance(before.outcome, UnfitError)
    reader = ConfigReader(before.config)
    family.spec(reader)
    if family.language_model is not None:
        family.language_model.spec(reader)
    for number, (key, value, other) in enumerate(_candidates(reader, before.outcome)):
        if number == MAX_TRIALS:
            return
        config = {**before.config, key: other}
        try:
            outcome: Pretrained | UnfitError = understand(located, config, weights, family)
        except UnfitError as unfit:
            outcome = unfit
        yield Mended(config, {**before.changes, key: (value, other)}, outcome)


def _candidates(reader: ConfigReader, unfit: UnfitError) -> Iterator[tuple[str, object, object]]:
    """(key, value, another value): sizes by as much as a shape or the number of layers is off, switches turned."""
    differences = sorted({*_sizes_off(unfit), *_layers_off(unfit)}, key=abs)
    for key, default in reader.read.items():
        value = reader.data.get(key, default)
        if isinstance(value, bool):
            yield key, value, not value
        elif isinstance(value, int):
            yield from ((key, value, value + difference) for difference in differences if value + difference > 0)


def _sizes_off(unfit: UnfitError) -> Iterator[int]:
    for fault in unfit.faults:
        if (
            fault.kind is FaultKind.MISSHAPEN
            and fault.stored
            and fault.wanted
            and len(fault.stored) == len(fault.wanted)
        ):
            yield from (
                stored - wanted for stored, wanted in zip(fault.stored, fault.wanted, strict=True) if stored != wanted
            )


def _layers_off(unfit: UnfitError) -> Iterator[int]:
    for kind, sign in ((FaultKind.MISSING, -1), (FaultKind.UNEXPECTED, 1)):
        numbers = {found[1] for fault in unfit.of(kind) if (found := re.search(r"\.(\d+)\.", f".{fault.name}"))}
        if numbers:
            yield sign * len(numbers)
