"""What the values of a checkpoint say: numbers that are none, and layers without traces of training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from heedful.checkpoint.doctor.findings import Finding, error, note, warning
from heedful.checkpoint.doctor.names import blocks, listed
from heedful.checkpoint.doctor.untrained import Suspicion, suspicions
from heedful.checkpoint.doctor.values import Values

WHOLE = 0.9
"""Share of the modules from which on it is said of the whole model."""


def value_findings(
    values: Mapping[str, Values],
    *,
    initializer_range: float | None = None,
    idle: Callable[[str], bool],
) -> Iterator[Finding]:
    """Findings about the values of tensors.

    Args:
        initializer_range: the standard deviation of fresh weights, where the config tells it.
        idle: whether a module is read by nothing that the checkpoint is made for.
    """
    broken = {name: it for name, it in values.items() if it.nan or it.infinite}
    if broken:
        nan, infinite = sum(it.nan for it in broken.values()), sum(it.infinite for it in broken.values())
        counted = ((nan, "not a number (NaN)"), (infinite, "infinite"))
        counts = [f"{count:,} {'is' if count == 1 else 'are'} {what}" for count, what in counted if count]
        yield error(
            "not_finite",
            f"of the values of {listed(broken)}, {' and '.join(counts)}",
            "The training diverged, or a number was too large for the dtype that it was saved in.",
            "Take an earlier state of the training, or save in float32 or bfloat16.",
            names=tuple(broken),
        )
    found = suspicions(values, initializer_range=initializer_range)
    yield from _untrained([it for it in found if not idle(it.name)], values, idle=False)
    yield from _untrained([it for it in found if idle(it.name)], values, idle=True)


def _untrained(found: Collection[Suspicion], values: Mapping[str, Values], *, idle: bool) -> Iterator[Finding]:
    modules = {name.rpartition(".")[0] for name in values}
    names = [it.name for it in found]
    why = f"{listed(blocks(names, modules))} ({'; '.join(dict.fromkeys(it.kind for it in found))})"
    if idle and found:
        yield note("untrained_idle", f"a part that nothing here reads looks untrained: {why}", names=names)
    elif len(found) >= WHOLE * len(modules) > 0:
        yield warning(
            "untrained_model",
            f"the whole model looks untrained: {len(found)} of {len(modules)} modules have the values of fresh ones",
            "The weights were never trained, or never loaded before they were saved.",
            "Take another checkpoint, or train this one.",
            names=names,
        )
    elif found:
        yield warning(
            "untrained",
            f"{'1 module looks' if len(found) == 1 else f'{len(found)} modules look'} untrained: {why}",
            "They were never trained, or made anew when a program did not find their weights.",
            "Look whether the weights that were loaded bear other names; else train before the answers count.",
            names=names,
        )
