"""Faults of a spec's tree that no single part of it can see.

The rules read plain JSON-like data and pass over whatever is missing or of the wrong type, which is reported
elsewhere, so that they can speak even where other parts of the tree are at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAX_LAYERS = 2**10
"""Layers beyond these are not looked at: their number is a fault of its own."""

_SHARED_BY_LAYERS = {"rotary": "head_dim", "relative_bias": "num_heads", "alibi": "num_heads"}
"""Relative positions are worked out once for a stack, from this property of its self-attention."""

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
    read = _layers(decoder, "decoder")
    crossing = [path for path, layer in read if layer.get("cross_attention") is not None]
    if encoder is None:
        for path in crossing:
            yield (*path, "cross_attention"), "cross-attention without an encoder"
    elif read and not crossing:
        yield ("decoder", "layers"), "no layer has cross_attention: nothing would read the encoder"
    if tree.get("pointer") is not None and None in (encoder, decoder, tree.get("output")):
        yield ("pointer",), "copying needs an encoder that reads, and a decoder and an output that write"
    if tree.get("target_vocabulary_size") is not None:
        if None in (encoder, decoder):
            yield ("target_vocabulary_size",), "two vocabularies need an encoder and a decoder"
        if tree.get("pointer") is not None:
            yield ("pointer",), "what is copied has to stand in the vocabulary of the target"
    yield from _disentangled_faults(encoder, decoder)
    width, d_model, output = tree.get("embedding_width"), tree.get("d_model"), tree.get("output")
    if width not in (None, d_model) and isinstance(output, Mapping) and output.get("transform") is None:
        yield ("output",), f"token vectors of width {width} need a transform from d_model {d_model}"
    for name, stack in (("encoder", encoder), ("decoder", decoder)):
        yield from _position_faults(stack, name, d_model if width is None else width)


def _disentangled_faults(encoder: object, decoder: object) -> Iterator[Fault]:
    if _get(_get(decoder, "positions"), "kind") == "disentangled":
        yield ("decoder", "positions"), "disentangled positions look both ways: they are for encoders"
    if _get(_get(encoder, "positions"), "kind") != "disentangled":
        return
    for path, layer in _layers(encoder, "encoder"):
        attention = layer.get("self_attention")
        for key in ("rotary", "soft_cap", "query_key_norm"):
            if _get(attention, key) is not None:
                yield (*path, "self_attention", key), "disentangled positions leave no room for it"
        shared = _get(attention, "num_kv_heads")
        if shared not in (None, _get(attention, "num_heads")):
            yield (*path, "self_attention", "num_kv_heads"), "disentangled positions need a key for each query head"


def _position_faults(stack: object, name: str, width: object) -> Iterator[Fault]:
    absolute = _get(_get(_get(stack, "embeddings"), "positions"), "kind")
    if absolute == "sinusoidal" and isinstance(width, int) and width % 2:
        yield (name, "embeddings", "positions"), f"sinusoidal positions need an even d_model, not {width}"

    for path, layer in _layers(stack, name):
        attention = layer.get("self_attention")
        head_dim, own = _get(attention, "head_dim"), _get(attention, "rotary")
        for rotary in (own, _get(stack, "positions")):
            turned = _get(rotary, "width")
            if isinstance(turned, int) and isinstance(head_dim, int) and turned > head_dim:
                yield (
                    (*path, "self_attention", "head_dim"),
                    f"{turned} columns cannot be turned of a head of {head_dim}",
                )
        if own is not None and isinstance(head_dim, int) and _get(own, "width") is None and head_dim % 2:
            yield (*path, "self_attention", "rotary"), f"rotary positions need an even head_dim, not {head_dim}"

    relative = str(_get(_get(stack, "positions"), "kind"))
    key = _SHARED_BY_LAYERS.get(relative, "")
    values = [
        ((*path, "self_attention", key), value)
        for path, layer in _layers(stack, name)
        if isinstance(value := _get(layer.get("self_attention"), key), int)
    ]
    for path, value in values:
        first = values[0][1]
        if value != first:
            yield path, f"{relative} positions need the same {key} in all layers: {value}, {first}"
        if relative == "rotary" and value % 2 and _get(_get(stack, "positions"), "width") is None:
            yield path, f"rotary positions need an even head_dim, not {value}"


def _layers(stack: object, name: str) -> list[tuple[Path, Mapping[str, Any]]]:
    layers = _get(stack, "layers")
    if not isinstance(layers, list | tuple):
        return []
    return [((name, "layers", i), layer) for i, layer in enumerate(layers[:MAX_LAYERS]) if isinstance(layer, Mapping)]


def _get(part: object, key: str) -> object:
    return part.get(key) if isinstance(part, Mapping) else None
