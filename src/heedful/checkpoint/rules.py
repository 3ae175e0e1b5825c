"""Rules that rename and reshape weights, in both directions: what a family's checkpoint holds, and what we hold.

A rule's names are patterns: ``{}`` stands for a number, the same on both sides, and ``*`` for the last part of a
name, ``weight`` or ``bias``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from heedful.errors import CheckpointError

_EARLIER_ENDINGS = {"gamma": "weight", "beta": "bias"}
"""How checkpoints converted from TensorFlow call the parameters of a LayerNorm."""


@dataclass(frozen=True)
class Rule:
    """One tensor of theirs is one or several of ours; this one is the same under another name."""

    theirs: str
    ours: str | tuple[str, ...]
    also: tuple[str, ...] = ()
    """Other names under which the very same tensor may stand; all that are given must be equal."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Our patterns."""
        return (self.ours,) if isinstance(self.ours, str) else self.ours

    def read(self, tensor: Tensor) -> Sequence[Tensor]:
        """Their tensor -> ours."""
        return (tensor,)

    def write(self, tensors: Sequence[Tensor]) -> Tensor:
        """Our tensors -> theirs."""
        (tensor,) = tensors
        return tensor


@dataclass(frozen=True)
class Transpose(Rule):
    """Theirs is (in, out), ours (out, in): GPT-2's ``Conv1D``."""

    def read(self, tensor: Tensor) -> Sequence[Tensor]:
        """As :meth:`Rule.read`; a vector stays."""
        return (tensor.T.contiguous() if tensor.dim() == 2 else tensor,)

    def write(self, tensors: Sequence[Tensor]) -> Tensor:
        """As :meth:`Rule.write`."""
        return self.read(tensors[0])[0]


@dataclass(frozen=True)
class Split(Rule):
    """Theirs is several of ours one below the other."""

    transposed: bool = False
    """Theirs is (in, out), as in :class:`Transpose`."""
    ratio: tuple[int, ...] = ()
    """Heights of our parts in proportion to each other; equal unless given."""

    def read(self, tensor: Tensor) -> Sequence[Tensor]:
        """As :meth:`Rule.read`."""
        if self.transposed and tensor.dim() == 2:
            tensor = tensor.T
        ratio = self.ratio or (1,) * len(self.targets)
        if tensor.dim() == 0 or len(tensor) % sum(ratio):
            raise CheckpointError(f"a tensor of shape {tuple(tensor.shape)} has no {sum(ratio)} equal parts")
        unit = len(tensor) // sum(ratio)
        return [part.contiguous() for part in torch.split(tensor, [unit * share for share in ratio])]

    def write(self, tensors: Sequence[Tensor]) -> Tensor:
        """As :meth:`Rule.write`."""
        joined = torch.cat(list(tensors))
        return joined.T.contiguous() if self.transposed and joined.dim() == 2 else joined


@dataclass(frozen=True)
class SplitHeads(Rule):
    """Theirs has our parts in turn within each head, as GPT-NeoX keeps query, key and value."""

    num_heads: int = field(kw_only=True)

    def read(self, tensor: Tensor) -> Sequence[Tensor]:
        """As :meth:`Rule.read`."""
        count = self.num_heads * len(self.targets)
        if tensor.dim() == 0 or len(tensor) % count:
            raise CheckpointError(f"a tensor of shape {tuple(tensor.shape)} has no {count} equal parts")
        parts = tensor.reshape(self.num_heads, len(self.targets), -1, *tensor.shape[1:])
        return [parts[:, number].flatten(0, 1).contiguous() for number in range(len(self.targets))]

    def write(self, tensors: Sequence[Tensor]) -> Tensor:
        """As :meth:`Rule.write`."""
        parts = [tensor.reshape(self.num_heads, -1, *tensor.shape[1:]) for tensor in tensors]
        return torch.stack(parts, dim=1).flatten(0, 2)


@dataclass(frozen=True)
class Squeeze(Rule):
    """Theirs is (1, n), ours (n,)."""

    def read(self, tensor: Tensor) -> Sequence[Tensor]:
        """As :meth:`Rule.read`."""
        if tensor.dim() != 2 or len(tensor) != 1:
            raise CheckpointError(f"a tensor of shape {tuple(tensor.shape)} is not of shape (1, n)")
        return (tensor[0],)

    def write(self, tensors: Sequence[Tensor]) -> Tensor:
        """As :meth:`Rule.write`."""
        return tensors[0][None]


@dataclass(frozen=True)
class Drop:
    """A tensor of theirs that we have no use for."""

    theirs: str
    reason: str


Rules = tuple[Rule | Drop, ...]


@dataclass(frozen=True)
class Step:
    """A rule with all names filled in."""

    rule: Rule
    stored: tuple[str, ...]
    """Their names that are there; the first is read, the others must be equal to it."""
    ours: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What becomes of every stored tensor."""

    steps: tuple[Step, ...]
    dropped: Mapping[str, str]
    """Stored name -> reason."""
    unexpected: tuple[str, ...]
    """Stored names that no rule knows."""


def plan(rules: Rules, names: Iterable[str], *, prefixes: Sequence[str] = ()) -> Plan:
    """Find the rule of each stored name.

    Args:
        prefixes: what may stand before a name without changing what it is.
    """
    found: dict[tuple[Rule, tuple[str, ...]], list[tuple[int, str]]] = {}
    dropped: dict[str, str] = {}
    unexpected: list[str] = []
    for name in names:
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        match = next(_matches(rules, _modern(name.removeprefix(prefix))), None)
        if match is None:
            unexpected.append(name)
            continue
        rule, number, parts = match
        if isinstance(rule, Drop):
            dropped[name] = rule.reason
        else:
            ours = tuple(_fill(target, parts) for target in rule.targets)
            found.setdefault((rule, ours), []).append((number, name))
    steps = [Step(rule, tuple(name for _, name in sorted(stored)), ours) for (rule, ours), stored in found.items()]
    return Plan(tuple(steps), dropped, tuple(unexpected))


def their_names(rules: Rules, ours: str) -> tuple[str, tuple[str, ...]] | None:
    """Their name of one of our tensors, and all of ours that it holds; None where no rule writes it."""
    for rule in rules:
        if isinstance(rule, Drop):
            continue
        for target in rule.targets:
            match = _pattern(target).fullmatch(ours)
            if match is not None:
                parts = match.groups()
                return _fill(rule.theirs, parts), tuple(_fill(other, parts) for other in rule.targets)
    return None


def write(rules: Rules, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under their names.

    Raises:
        CheckpointError: the family has no name for a tensor, or a part of one of theirs is missing.
    """
    written: dict[str, Tensor] = {}
    for name in tensors:
        found = their_names(rules, name)
        if found is None:
            raise CheckpointError(f"this family has no weight for {name}", remedy="Keep the model in our own format.")
        theirs, ours = found
        if theirs in written:
            continue
        missing = [other for other in ours if other not in tensors]
        if missing:
            raise CheckpointError(f"{theirs} is made of {', '.join(ours)}, and {', '.join(missing)} is missing")
        rule = next(rule for rule in rules if isinstance(rule, Rule) and _pattern(rule.theirs).fullmatch(theirs))
        written[theirs] = rule.write([tensors[other] for other in ours])
    return written


def _matches(rules: Rules, name: str) -> Iterator[tuple[Rule | Drop, int, tuple[str, ...]]]:
    """Rules that know ``name``, by which of their names, and what ``{}`` and ``*`` stand for."""
    for rule in rules:
        for number, theirs in enumerate((rule.theirs, *getattr(rule, "also", ()))):
            match = _pattern(theirs).fullmatch(name)
            if match is not None:
                yield rule, number, match.groups()


def _modern(name: str) -> str:
    head, dot, end = name.rpartition(".")
    return head + dot + _EARLIER_ENDINGS.get(end, end)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\{\}", r"(\d{1,4})").replace(r"\*", "(weight|bias)"))


def _fill(pattern: str, parts: Sequence[str]) -> str:
    remaining = iter(parts)
    return re.sub(r"\{\}|\*", lambda _: next(remaining), pattern)
