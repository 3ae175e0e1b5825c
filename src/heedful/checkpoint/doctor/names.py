"""Names of tensors that nearly fit: wrappers around a model, and blocks that bear other names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from torch import Tensor

from heedful.checkpoint.stored import StoredWeights, TensorInfo

Shape = tuple[int, ...]
SHOWN = 6
"""Names in a line."""
MAX_DEPTH = 3
"""Modules that a model may be inside of."""
NUMBER = "{}"
"""Stands for the number of a layer."""

WRAPPERS = {
    "module": "DataParallel or DistributedDataParallel",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "fully sharded data parallel",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "_forward_module": "Lightning with DeepSpeed",
    "base_model": "an adapter library",
    "base_layer": "an adapter library",
}
"""Parts of names that a wrapper puts around a model, and whose they are."""
STRANGERS = {
    r"(^|\.)lora_|lora_magnitude": "LoRA weights that were saved beside the model instead of merged into it",
    r"\.(qweight|qzeros|scales|g_idx|absmax|quant_map|quant_state|weight_scale|SCB)(\.|$)": "quantised weights",
    r"^(optimizer|lr_schedulers|callbacks|state)\.|exp_avg": "the state of a training, not of a model",
    r"num_batches_tracked|running_(mean|var)$": "batch norm, which no family here has",
}
"""Patterns of tensors that belong to something else than a plain model."""


class RenamedWeights(StoredWeights):
    """The same weights under other names."""

    def __init__(self, weights: StoredWeights, names: Mapping[str, str]) -> None:
        """``names``: new to stored name."""
        self.folder: Path = weights.folder
        self._weights, self._names = weights, dict(names)

    def __getitem__(self, name: str) -> TensorInfo:
        return self._weights[self._names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def tensor(self, name: str) -> Tensor:
        """Read the values of one tensor."""
        return self._weights.tensor(self._names[name])


@dataclass(frozen=True)
class Rename:
    """One rule that would mend names: ``{}`` stands for a number, ``*`` for the rest of a name."""

    stored: str
    wanted: str
    names: Mapping[str, str]
    """Stored to wanted name of all that it concerns."""

    def __str__(self) -> str:
        return f"rename {self.stored} to {self.wanted}"


def unwrap(names: Iterable[str], known: Callable[[list[str]], int]) -> tuple[dict[str, str], list[str]]:
    """Take off what stands around a model's names: wrappers, and what all begin with, if more are known without it.

    Args:
        known: counts the names that are known.

    Returns:
        Bare to stored name, and the parts that were taken off, as ``part.``.
    """
    bare = {name: name for name in names}
    taken: list[str] = []
    for part in WRAPPERS:
        if part.startswith("_"):  # no model has such parts of its own
            while (without := _without(part, bare)) is not None:
                bare, taken = without, [*taken, f"{part}."]
    while True:
        chains = [[part] for part in WRAPPERS] + _shared_starts(bare)
        trials = [(chain, without) for chain in chains if (without := _without_all(chain, bare)) is not None]
        best = max(trials, key=lambda trial: known(list(trial[1])), default=None)
        if best is None or known(list(best[1])) <= known(list(bare)):
            return bare, taken
        bare, taken = best[1], [*taken, *(f"{part}." for part in best[0])]


def owner_of(part: str) -> str | None:
    """Whose wrapper a part of a name is."""
    return WRAPPERS.get(part.strip("."))


def stranger(name: str) -> str | None:
    """What a tensor that does not belong to a plain model is, if its name tells."""
    return next((what for pattern, what in STRANGERS.items() if re.search(pattern, name)), None)


def renames(stored: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> list[Rename]:
    """Rules by which tensors that nobody wants may become those that are missing.

    Names are compared by pattern, with all layers at once: two patterns may be one where shapes and layers are the
    same, and of those that may, the ones that are most alike are taken first.
    """
    ours, theirs = _patterns(stored), _patterns(wanted)
    pairs = sorted(
        (
            (_likeness(pattern, other), pattern, other)
            for pattern, layers in ours.items()
            for other, wanted_layers in theirs.items()
            if layers == wanted_layers and pattern.rpartition(".")[2] == other.rpartition(".")[2]
        ),
        reverse=True,
    )
    taken: set[tuple[int, str]] = set()
    blocks: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for _, pattern, other in pairs:
        if (0, pattern) in taken or (1, other) in taken:
            continue
        taken |= {(0, pattern), (1, other)}
        names = {_fill(pattern, numbers): _fill(other, numbers) for numbers in ours[pattern]}
        blocks[_rule(pattern, other)].update(names)
    return [Rename(stored_rule, wanted_rule, names) for (stored_rule, wanted_rule), names in blocks.items()]


def grouped(names: Iterable[str]) -> list[str]:
    """Names with those of several layers said once, such as ``layers.{0, 1, 2}.norm.weight``."""
    groups = _patterns(dict.fromkeys(names, ()))
    return [_several(pattern, list(numbers)) for pattern, numbers in groups.items()]


def listed(names: Iterable[str]) -> str:
    """The first of some names, those of several layers said once."""
    groups = grouped(names)
    more = f" and {len(groups) - SHOWN} more" if len(groups) > SHOWN else ""
    return ", ".join(groups[:SHOWN]) + more


def blocks(chosen: Iterable[str], modules: Iterable[str]) -> list[str]:
    """``chosen`` modules, with the outermost block in place of all modules in it where all of them are chosen."""
    inside: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for block in _outwards(module):
            inside[block].add(module)
    wanted = set(chosen)
    return list(dict.fromkeys(next(b for b in _outwards(module) if inside[b] <= wanted) for module in sorted(wanted)))


def _outwards(module: str) -> list[str]:
    """All blocks that hold a module, the outermost first, the module itself last."""
    parts = module.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def _several(pattern: str, numbers: list[tuple[str, ...]]) -> str:
    return _fill(pattern, tuple(_range(column) for column in zip(*numbers, strict=True)))


def _range(column: Iterable[str]) -> str:
    values = set(column)
    if NUMBER in values:  # a name of somebody's own
        return NUMBER
    found = sorted(map(int, values))
    run = len(found) > 2 and found == list(range(found[0], found[-1] + 1))
    told = f"{found[0]}…{found[-1]}" if run else ", ".join(map(str, found))
    return told if len(found) == 1 else f"{{{told}}}"


def _shared_starts(names: Iterable[str]) -> list[list[str]]:
    """What all names begin with, part by part: the first, the first two, the first three."""
    firsts = [name.split(".")[:-1] for name in names]
    shared: list[str] = []
    for column in zip(*firsts, strict=False):
        if len(set(column)) > 1 or len(shared) == MAX_DEPTH:
            break
        shared.append(column[0])
    return [shared[: number + 1] for number in range(len(shared))]


def _without_all(chain: list[str], bare: dict[str, str]) -> dict[str, str] | None:
    found: dict[str, str] | None = bare
    for part in chain:
        found = None if found is None else _without(part, found)
    return found


def _without(part: str, bare: Mapping[str, str]) -> dict[str, str] | None:
    """Bare to stored names without the first ``part`` in them; None where none has it, or two would become one."""
    without = {}
    for name, stored in bare.items():
        parts = name.split(".")
        if part in parts[:-1]:
            parts.remove(part)
        without[".".join(parts)] = stored
    return without if len(without) == len(bare) and without.keys() != bare.keys() else None


def _patterns(shapes: Mapping[str, Shape]) -> dict[str, dict[tuple[str, ...], Shape]]:
    """Names with ``{}`` for numbers -> the numbers of each -> its shape."""
    patterns: dict[str, dict[tuple[str, ...], Shape]] = defaultdict(dict)
    for name, shape in shapes.items():
        parts = name.split(".")
        pattern = ".".join(NUMBER if _is_number(part) else part for part in parts)
        patterns[pattern][tuple(part for part in parts if _is_number(part))] = shape
    return patterns


def _is_number(part: str) -> bool:
    return part == NUMBER or (part.isdecimal() and len(part) < 10)


def _fill(pattern: str, numbers: tuple[str, ...]) -> str:
    remaining = iter(numbers)
    return ".".join(next(remaining) if part == NUMBER else part for part in pattern.split("."))


def _likeness(pattern: str, other: str) -> float:
    return SequenceMatcher(None, pattern, other, autojunk=False).ratio()


def _rule(pattern: str, other: str) -> tuple[str, str]:
    """The two patterns, with ``*`` for the end that they share, and without a start that tells nothing."""
    parts, others = pattern.split("."), other.split(".")
    shared = 0
    while shared < min(len(parts), len(others)) - 1 and parts[-1 - shared] == others[-1 - shared]:
        shared += 1
    ends = ["*"] if shared else []
    return ".".join([*parts[: len(parts) - shared], *ends]), ".".join([*others[: len(others) - shared], *ends])
