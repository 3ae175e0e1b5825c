"""What a model is, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping

from heedful.model import ClassificationHeadSpec, StackSpec, TransformerSpec


def describe_model(spec: TransformerSpec) -> dict[str, str]:
    """Name of a part -> what it is."""
    parts = {"vocabulary": f"{spec.vocabulary_size:,} tokens, width {spec.embedding_width or spec.d_model:,}"}
    for name, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        if stack is not None:
            parts[name] = _describe_stack(stack, spec.d_model)
    if spec.output is not None:
        parts["output"] = "a language model, " + ("tied to the token table" if spec.output.tied else "with its own map")
    return parts


def describe_head(head: ClassificationHeadSpec, labels: tuple[str, ...]) -> str:
    """Pooling, layers and labels of a classification head."""
    dense = f", a dense layer with {head.activation}" if head.dense else ""
    shown = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
    return f"classification from {_POOLING[head.pooling]}{dense}, {len(labels)} labels: {shown}"


_POOLING = {"mean": "the mean of all tokens", "first": "the first token", "last": "the last token"}


def _describe_stack(stack: StackSpec, d_model: int) -> str:
    layer = stack.layers[0]
    count = len(stack.order or stack.layers)
    said = [f"{count} layer{'s' * (count > 1)} of width {d_model:,}"]
    if stack.order is not None and len(stack.layers) < len(stack.order):
        said[0] += f" that share {len(stack.layers)} sets of weights"
    attention = layer.self_attention
    if attention is not None:
        groups = attention.num_kv_heads or attention.num_heads
        shared = f" on {groups} of keys and values" if groups < attention.num_heads else ""
        said.append(f"{attention.num_heads} heads of {attention.head_dim}{shared}")
    if layer.feed_forward is not None:
        gated = "gated " if layer.feed_forward.gated else ""
        said.append(f"inner width {layer.feed_forward.d_ff:,}, {gated}{layer.feed_forward.activation}")
    said.append(f"norm {layer.norm_placement} ({layer.norm.kind})")
    absolute = stack.embeddings.positions
    positions = [str(kind.kind) for kind in (absolute, stack.positions) if kind is not None]
    said.append(f"positions {' and '.join(positions) or 'none'}{_limit(stack)}")
    return ", ".join(said)


def _limit(stack: StackSpec) -> str:
    limits = [
        getattr(positions, "max_positions", None)
        for positions in (stack.embeddings.positions, stack.positions)
        if positions is not None
    ]
    known = [limit for limit in limits if limit]
    return f" up to {min(known):,}" if known else ""


def dtype_counts(counts: Mapping[str, int]) -> str:
    """The dtypes of the weights, the most frequent first."""
    total = sum(counts.values()) or 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    if len(ordered) == 1:
        return ordered[0][0]
    return ", ".join(f"{name} {count / total:.1%}" for name, count in ordered)
