"""Specs round-trip through JSON, and every impossible one is explained, all faults at once."""

from __future__ import annotations

import ast
import copy
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from heedful.errors import SpecError
from heedful.model import (
    Activation,
    AlibiSpec,
    AttentionSpec,
    ClassificationHeadSpec,
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    NormKind,
    NormPlacement,
    NormSpec,
    OutputSpec,
    Pooling,
    RelativeBiasSpec,
    RotarySpec,
    SelfAttentionSpec,
    SinusoidalSpec,
    StackSpec,
    TransformerSpec,
    build,
    parse_spec,
)

probabilities = st.floats(0, 1, exclude_max=True)
norms = st.builds(NormSpec, kind=st.sampled_from(NormKind), epsilon=st.floats(1e-12, 1e-3))
feed_forwards = st.builds(
    FeedForwardSpec,
    d_ff=st.integers(1, 9),
    activation=st.sampled_from(Activation),
    gated=st.booleans(),
    bias=st.booleans(),
)
absolute = st.builds(SinusoidalSpec) | st.builds(LearnedSpec, max_positions=st.integers(1, 9))
relative = (
    st.builds(RotarySpec, base=st.floats(2, 1e6))
    | st.builds(RelativeBiasSpec, num_buckets=st.sampled_from([4, 32]), max_distance=st.integers(17, 200))
    | st.builds(AlibiSpec)
)


@st.composite
def layers(draw: st.DrawFn, heads: int, *, crossing: bool) -> LayerSpec:
    def attention() -> dict[str, Any]:
        return {
            "num_heads": heads,
            "head_dim": 2,
            "num_kv_heads": draw(st.sampled_from([None, 1, heads])),
            "bias": draw(st.booleans()),
            "dropout": draw(probabilities),
        }

    parallel = draw(st.booleans())
    placements = [placement for placement in NormPlacement if not (parallel and placement is NormPlacement.POST)]
    window = draw(st.none() | st.integers(1, 5))
    return LayerSpec(
        self_attention=draw(st.sampled_from([None, SelfAttentionSpec(**attention(), window=window)])),
        cross_attention=AttentionSpec(**attention()) if crossing else None,
        feed_forward=draw(st.none() | feed_forwards),
        norm=draw(norms),
        norm_placement=draw(st.sampled_from(placements)),
        parallel=parallel,
        dropout=draw(probabilities),
    )


@st.composite
def stacks(draw: st.DrawFn, *, crossing: bool = False) -> StackSpec:
    heads = draw(st.integers(1, 3))
    return StackSpec(
        embeddings=draw(
            st.builds(
                EmbeddingSpec,
                scaled=st.booleans(),
                positions=st.none() | absolute,
                num_token_types=st.integers(0, 3),
                dropout=probabilities,
            )
        ),
        layers=tuple(draw(st.lists(layers(heads, crossing=crossing), min_size=1, max_size=2))),
        positions=draw(st.none() | relative),
        norm=draw(st.none() | norms),
    )


@st.composite
def specs(draw: st.DrawFn) -> TransformerSpec:
    form = draw(st.sampled_from(["encoder", "decoder", "both"]))
    return TransformerSpec(
        vocabulary_size=draw(st.integers(1, 20)),
        d_model=draw(st.integers(1, 8)) * 2,
        encoder=draw(stacks()) if form != "decoder" else None,
        decoder=draw(stacks(crossing=form == "both")) if form != "encoder" else None,
        output=draw(st.none() | st.builds(OutputSpec, tied=st.booleans(), bias=st.booleans())),
    )


@settings(max_examples=60, deadline=None)
@given(specs())
def test_every_spec_round_trips_through_json_and_can_be_built(spec: TransformerSpec) -> None:
    text = spec.model_dump_json()
    assert TransformerSpec.model_validate_json(text) == spec
    assert parse_spec(json.loads(text)) == spec
    assert parse_spec(spec.model_dump()) == spec
    assert build(spec).spec is spec


@given(
    st.builds(
        ClassificationHeadSpec,
        num_labels=st.integers(1, 9),
        pooling=st.sampled_from(Pooling),
        dense=st.booleans(),
        activation=st.sampled_from(Activation),
        dropout=probabilities,
    )
)
def test_every_head_round_trips_through_json(spec: ClassificationHeadSpec) -> None:
    assert ClassificationHeadSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("name", ["presets", "spec", "structure", "uniform"])
def test_specs_know_nothing_of_tensors(name: str) -> None:
    module = importlib.import_module(f"heedful.model.{name}")
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported
    assert not [found for found in imported if found.startswith(("torch", "heedful.nn"))]


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        NormSpec().epsilon = 1.0  # type: ignore[misc]


VALID: dict[str, Any] = {
    "vocabulary_size": 10,
    "d_model": 8,
    "encoder": {
        "embeddings": {"positions": {"kind": "learned", "max_positions": 5}},
        "layers": [
            {"self_attention": {"num_heads": 4, "head_dim": 2}, "feed_forward": {"d_ff": 16}},
            {"self_attention": {"num_heads": 4, "head_dim": 2}},
        ],
    },
    "decoder": {
        "layers": [
            {"self_attention": {"num_heads": 2, "head_dim": 4}, "cross_attention": {"num_heads": 2, "head_dim": 4}}
        ]
    },
}
ATTENTION = "encoder.layers.0.self_attention"
REMOVED = object()
DISENTANGLED = {"kind": "disentangled", "max_distance": 8}
MISUSES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "negative size": ({"vocabulary_size": -1}, ["vocabulary_size: Input should be greater than 0"]),
    "zero size": ({"d_model": 0}, ["d_model: Input should be greater than 0"]),
    "absurd vocabulary": ({"vocabulary_size": 10**12}, ["vocabulary_size: Input should be less than or equal to"]),
    "absurd width": ({"d_model": 10**7}, ["d_model: Input should be less than or equal to"]),
    "absurd heads": ({f"{ATTENTION}.num_heads": 10**6}, [f"{ATTENTION}.num_heads: Input should be less than"]),
    "absurd inner width": (
        {"encoder.layers.0.feed_forward.d_ff": 10**9},
        ["encoder.layers.0.feed_forward.d_ff: Input should be less than"],
    ),
    "absurd positions": (
        {"encoder.embeddings.positions.max_positions": 10**10},
        ["encoder.embeddings.positions.learned.max_positions: Input should be less than"],
    ),
    "too many layers": ({"encoder.layers": [{}] * 1025}, ["encoder.layers: 1 to 1024 layers are possible, not 1025"]),
    "no layers": ({"encoder.layers": []}, ["encoder.layers: 1 to 1024 layers are possible, not 0"]),
    "text for a number": ({"d_model": "wide"}, ["d_model: Input should be a valid integer", "(got 'wide')"]),
    "fraction of a head": ({f"{ATTENTION}.num_heads": 1.5}, [f"{ATTENTION}.num_heads: Input should be a valid int"]),
    "missing key": ({"d_model": REMOVED}, ["d_model: required, but not given"]),
    "dropout of all": ({"encoder.layers.0.dropout": 1.0}, ["encoder.layers.0.dropout: Input should be less than 1"]),
    "negative dropout": ({"encoder.embeddings.dropout": -0.1}, ["encoder.embeddings.dropout: Input should be"]),
    "not a number": ({"encoder.layers.0.dropout": float("nan")}, ["encoder.layers.0.dropout: Input should be"]),
    "misspelt key": ({f"{ATTENTION}.num_head": 4}, [f"{ATTENTION}.num_head: unknown key; did you mean num_heads?"]),
    "unknown key": ({"auto_map": {"x": "y"}}, ["auto_map: unknown key"]),
    "unknown activation": (
        {"encoder.layers.0.feed_forward.activation": "relo"},
        ["encoder.layers.0.feed_forward.activation: Input should be 'relu', 'gelu'", "(got 'relo')"],
    ),
    "unknown positions": ({"encoder.positions": {"kind": "polar"}}, ["encoder.positions: ", "'polar'"]),
    "key/value heads": (
        {f"{ATTENTION}.num_kv_heads": 3},
        [f"{ATTENTION}.num_kv_heads: num_heads 4 is not divisible by num_kv_heads 3"],
    ),
    "parallel post-norm": (
        {"encoder.layers.1.norm_placement": "post", "encoder.layers.1.parallel": True},
        ["encoder.layers.1.parallel: parallel slots need norm_placement pre or sandwich, not post"],
    ),
    "too few distances": (
        {"encoder.positions": {"kind": "relative_bias", "max_distance": 16}},
        ["encoder.positions.relative_bias.max_distance: max_distance 16 must exceed num_buckets / 2 = 16"],
    ),
    "odd number of buckets": (
        {"encoder.positions": {"kind": "relative_bias", "num_buckets": 5}},
        ["encoder.positions.relative_bias.num_buckets: Input should be a multiple of 2"],
    ),
    "narrow ramp of frequencies": (
        {
            "encoder.positions": {
                "kind": "rotary",
                "scaling": {
                    "kind": "llama3",
                    "factor": 8,
                    "low_frequency_factor": 4,
                    "high_frequency_factor": 4,
                    "original_max_positions": 8192,
                },
            }
        },
        [
            "encoder.positions.rotary.scaling.llama3.high_frequency_factor: must exceed low_frequency_factor 4",
        ],
    ),
    "absurd stretch": (
        {"encoder.positions": {"kind": "rotary", "scaling": {"kind": "linear", "factor": 1e9}}},
        ["encoder.positions.rotary.scaling.linear.factor: Input should be less than"],
    ),
    "more columns than a head has": (
        {"encoder.layers.1.self_attention.rotary": {"width": 4}},
        ["encoder.layers.1.self_attention.head_dim: 4 columns cannot be turned of a head of 2"],
    ),
    "odd part of a head": (
        {"encoder.positions": {"kind": "rotary", "width": 1}},
        ["encoder.positions.rotary.width: Input should be a multiple of 2"],
    ),
    "offset of a LayerNorm": (
        {"encoder.norm": {"unit_offset": True}},
        ["encoder.norm.unit_offset: unit_offset needs kind: rms"],
    ),
    "cap of nothing": ({f"{ATTENTION}.soft_cap": 0.0}, [f"{ATTENTION}.soft_cap: Input should be greater than 0"]),
    "disentangled decoder": (
        {"decoder.positions": DISENTANGLED},
        ["decoder.positions: disentangled positions look both ways: they are for encoders"],
    ),
    "disentangled groups of heads": (
        {"encoder.positions": DISENTANGLED, f"{ATTENTION}.num_kv_heads": 2},
        [f"{ATTENTION}.num_kv_heads: disentangled positions need a key for each query head"],
    ),
    "disentangled and rotary": (
        {"encoder.positions": DISENTANGLED, f"{ATTENTION}.rotary": {}},
        [f"{ATTENTION}.rotary: disentangled positions leave no room for it"],
    ),
    "disentangled and capped": (
        {"encoder.positions": DISENTANGLED, f"{ATTENTION}.soft_cap": 5.0},
        [f"{ATTENTION}.soft_cap: disentangled positions leave no room for it"],
    ),
    "disentangled and normed heads": (
        {"encoder.positions": DISENTANGLED, f"{ATTENTION}.query_key_norm": {}},
        [f"{ATTENTION}.query_key_norm: disentangled positions leave no room for it"],
    ),
    "more buckets than distances": (
        {"encoder.positions": DISENTANGLED | {"num_buckets": 14}},
        ["encoder.positions.disentangled.num_buckets: 14 need a max_distance above 8, not 8"],
    ),
    "order that leaves a layer out": (
        {"encoder.order": [1, 1]},
        ["encoder.order: must name each of the layers 0 to 1 at least once, and no other"],
    ),
    "order of a layer that is not there": (
        {"encoder.order": [0, 1, 2]},
        ["encoder.order: must name each of the layers 0 to 1 at least once, and no other"],
    ),
    "absurd order": ({"encoder.order": [0, 1] * 513}, ["encoder.order: Tuple should have at most 1024 items"]),
    "unknown slot": (
        {"encoder.layers.0.without_norm": ["attention"]},
        ["encoder.layers.0.without_norm.0: Input should be 'self_attention'"],
    ),
    "narrow token vectors without a way back": (
        {"embedding_width": 4, "output": {}},
        ["output: token vectors of width 4 need a transform from d_model 8"],
    ),
    "neither stack": ({"encoder": REMOVED, "decoder": REMOVED}, ["the whole: neither encoder nor decoder is given"]),
    "nothing to attend to": (
        {"encoder": REMOVED},
        ["decoder.layers.0.cross_attention: cross-attention without an encoder"],
    ),
    "encoder attending across": (
        {"encoder.layers.1.cross_attention": {"num_heads": 1, "head_dim": 1}},
        ["encoder.layers.1.cross_attention: an encoder has nothing to attend across to"],
    ),
    "encoder that nothing reads": (
        {"decoder.layers.0.cross_attention": REMOVED},
        ["decoder.layers: no layer has cross_attention: nothing would read the encoder"],
    ),
    "odd sinusoids": (
        {"d_model": 7, "encoder.embeddings.positions": {"kind": "sinusoidal"}},
        ["encoder.embeddings.positions: sinusoidal positions need an even d_model, not 7"],
    ),
    "odd rotary heads": (
        {"decoder.positions": {"kind": "rotary"}, "decoder.layers.0.self_attention.head_dim": 5},
        ["decoder.layers.0.self_attention.head_dim: rotary positions need an even head_dim, not 5"],
    ),
    "rotary heads of two widths": (
        {"encoder.positions": {"kind": "rotary"}, "encoder.layers.1.self_attention.head_dim": 4},
        ["encoder.layers.1.self_attention.head_dim: rotary positions need the same head_dim in all layers: 4, 2"],
    ),
    "biases for two numbers of heads": (
        {"encoder.positions": {"kind": "alibi"}, "encoder.layers.1.self_attention.num_heads": 2},
        ["encoder.layers.1.self_attention.num_heads: alibi positions need the same num_heads in all layers: 2, 4"],
    ),
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """``VALID`` with the values at dotted paths replaced."""
    tree = copy.deepcopy(VALID)
    for path, value in changes.items():
        *parents, last = path.split(".")
        part: Any = tree
        for key in parents:
            part = part[int(key)] if isinstance(part, list) else part[key]
        if value is REMOVED:
            del part[last]
        else:
            part[last] = value
    return tree


def test_what_the_misuses_start_from_is_valid() -> None:
    assert parse_spec(VALID).encoder is not None


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_is_explained_where_it_is(misuse: str) -> None:
    changes, expected = MISUSES[misuse]
    with pytest.raises(SpecError, match="the model's spec has 1 fault") as raised:
        parse_spec(changed(changes))
    _, fault = raised.value.message.splitlines()
    assert all(part in fault for part in expected)
    assert fault.strip().startswith(expected[0])


def test_all_faults_are_in_one_message() -> None:
    names = ["negative size", "misspelt key", "key/value heads", "parallel post-norm", "odd rotary heads"]
    names += ["encoder attending across", "encoder that nothing reads", "negative dropout"]
    changes = {path: value for name in names for path, value in MISUSES[name][0].items()}
    with pytest.raises(SpecError) as raised:
        parse_spec(changed(changes))
    head, *faults = raised.value.message.splitlines()
    assert head == f"the model's spec has {len(names)} faults:"
    for name in names:
        assert any(fault.strip().startswith(MISUSES[name][1][0]) for fault in faults), name


@pytest.mark.parametrize("data", [None, [], "spec", 3, {}])
def test_what_is_no_spec_at_all_is_refused(data: object) -> None:
    with pytest.raises(SpecError):
        parse_spec(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["encoder", "decoder", "layers", "self_attention", "positions", "kind", "d_model", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_arbitrary_data_is_refused_and_nothing_else_happens(data: object) -> None:
    with pytest.raises(SpecError):
        parse_spec(data)
