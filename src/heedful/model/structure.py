"""Faults of a spec's tree that no single part of it can see.

The rules read plain JSON-like data and pass over whatever is missing or of the wrong type, which is reported
elsewhere, so that they can speak even where other parts of the tree are at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
Fault = tuple[Path, str]


def structural_faults(tree: Mapping[str, Any]) -> Iterator[Fault]:
    """Where the parts of a TransformerSpec contradict one another: (path, what is wrong)."""
    encoder, decoder = tree.get("encoder"), tree.get("decoder")
    if encoder is None and decoder is None:
        yield (), "neither encoder nor decoder is given"
    for path, layer in _layers(encoder, "encoder"):
        if layer.get("cross_attention") is not None:
            yield (*path, "cross_attention"), "an encoder has nothing to attend across to"
    crossing = [path for path, layer in _layers(decoder, "decoder") if layer.get("cross_attention") is not None]
    if encoder is None:
        for path in crossing:
            yield (*path, "cross_attention"), "cross-attention without an encoder"
    elif decoder is not None and not crossing:
        yield ("decoder", "layers"), "no layer has cross_attention: nothing would read the encoder"
    for name, stack in (("encoder", encoder), ("decoder", decoder)):
        yield from _position_faults(stack, name, tree.get("d_model"))


def _position_faults(stack: object, name: str, d_model: object) -> Iterator[Fault]:
    absolute = _kind(_get(_get(stack, "embeddings"), "positions"))
    if absolute == "sinusoidal" and isinstance(d_model, int) and d_model % 2:
        yield (name, "embeddings", "positions"), f"sinusoidal positions need an even d_model, not {d_model}"

    relative = _kind(_get(stack, "positions"))
    attentions = [
        ((*path, "self_attention"), layer["self_attention"])
        for path, layer in _layers(stack, name)
        if isinstance(layer.get("self_attention"), Mapping)
    ]
    shared = {"rotary": "head_dim", "relative_bias": "num_heads", "alibi": "num_heads"}.get(str(relative))
    if shared is None:
        return
    first = None
    for path, attention in attentions:
        value = attention.get(shared)
        if not isinstance(value, int):
            continue
        first = value if first is None else first
        if value != first:
            yield (
                (*path, shared),
                f"{relative} positions need the same {shared} in all layers: {value}, {first}",
            )
        if relative == "rotary" and value % 2:
            yield (*path, shared), f"rotary positions need an even head_dim, not {value}"


def _layers(stack: object, name: str) -> list[tuple[Path, Mapping[str, Any]]]:
    layers = _get(stack, "layers")
    if not isinstance(layers, list | tuple):
        return []
    return [((name, "layers", i), layer) for i, layer in enumerate(layers) if isinstance(layer, Mapping)]


def _get(part: object, key: str) -> object:
    return part.get(key) if isinstance(part, Mapping) else None


def _kind(positions: object) -> object:
    return positions if isinstance(positions, str) else _get(positions, "kind")
