"""Low-rank adapters under a family's names, so that they fit its checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heedful.checkpoint import Adapter
from heedful.checkpoint.rules import Rules, their_names, write
from heedful.errors import CheckpointError
from heedful.families.family import Family
from heedful.model import Transformer
from heedful.nn import LoraLinear, lora_layers

WEIGHT = ".weight"


def adapter_to_upstream(family: Family, model: Transformer) -> Adapter:
    """Name the adapters of a model as the family's bare architecture names what they adapt.

    Where a checkpoint keeps several of our maps in one, such as query, key and value, their adapters become one too:
    its down is theirs one below the other, its up is block-diagonal, and α grows with the rank.

    Raises:
        CheckpointError: the family has no such map.
    """
    rules, layers = family.rules(model.spec), lora_layers(model)
    ours: dict[str, tuple[str, ...]] = {}
    for name in layers:
        found = their_names(rules, name + WEIGHT)
        if found is None:
            raise CheckpointError(f"checkpoints of the family {family.model_type} have no map for {name}")
        ours[found[0]] = tuple(part.removesuffix(WEIGHT) for part in found[1])
    one = next(iter(layers.values()))
    blocks = max(len(parts) for parts in ours.values())
    factors, transposed = {}, set()
    for theirs, parts in ours.items():
        down, ups = _blocks({part: model.get_submodule(part) for part in parts}, one.rank, blocks)
        transposed.add(_is_transposed(rules, theirs, ups))
        up = write(rules, {part + WEIGHT: up for part, up in ups.items()})[theirs]
        factors[theirs.removesuffix(WEIGHT)] = (down, up.T if True in transposed else up)
    if len(transposed) > 1:
        raise CheckpointError(
            f"checkpoints of the family {family.model_type} store maps in two ways, an adapter in one"
        )
    return Adapter(factors, one.rank * blocks, one.alpha * blocks, fan_in_fan_out=transposed == {True})


def _blocks(parts: dict[str, nn.Module], rank: int, blocks: int) -> tuple[Tensor, dict[str, Tensor]]:
    """One down (R, I) for all parts, and an up (O, R) for each; zeros where a part has no adapter."""
    adapted = next(part for part in parts.values() if isinstance(part, LoraLinear))
    down = adapted.down.new_zeros(rank * blocks, adapted.base.in_features)
    ups = {}
    with torch.no_grad():
        for number, (name, part) in enumerate(parts.items()):
            rows = slice(number * rank, (number + 1) * rank)
            base = part.base if isinstance(part, LoraLinear) else part
            assert isinstance(base, nn.Linear), "what stands beside an adapted map in one tensor is a map"
            ups[name] = down.new_zeros(base.out_features, rank * blocks)
            if isinstance(part, LoraLinear):
                down[rows], ups[name][:, rows] = part.down, part.up
    return down, ups


def _is_transposed(rules: Rules, theirs: str, ups: dict[str, Tensor]) -> bool:
    """Whether the checkpoint stores (I, O): seen from what becomes of a single column."""
    column = write(rules, {part + WEIGHT: up[:, :1] for part, up in ups.items()})[theirs]
    return column.shape[1] != 1
