"""A uniform spec writes out the tree it describes; the presets have the sizes of the paper."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from heedful.errors import SpecError
from heedful.model import PRESETS, LearnedSpec, PositionKind, TransformerSpec, UniformSpec, build, parse_spec
from heedful.settings import parse

SMALLEST = {"d_model": 8, "num_layers": 2, "num_heads": 2}


def test_the_tree_says_what_the_uniform_spec_says() -> None:
    uniform = UniformSpec(
        d_model=12,
        num_layers=2,
        decoder_layers=1,
        num_heads=4,
        num_kv_heads=2,
        head_dim=6,
        d_ff=20,
        activation="silu",
        gated=True,
        bias=False,
        attention_bias=False,
        norm={"kind": "rms", "epsilon": 1e-6},
        norm_placement="sandwich",
        parallel=True,
        positions="rotary",
        window=5,
        scaled_embeddings=False,
        tied_output=False,
        dropout=0.25,
        attention_dropout=0.125,
    )
    attention = {"num_heads": 4, "num_kv_heads": 2, "head_dim": 6, "bias": False, "dropout": 0.125}
    norm = {"kind": "rms", "epsilon": 1e-6}
    layer = {
        "self_attention": {**attention, "window": 5},
        "feed_forward": {"d_ff": 20, "activation": "silu", "gated": True, "bias": False},
        "norm": norm,
        "norm_placement": "sandwich",
        "parallel": True,
        "dropout": 0.25,
    }
    around = {"embeddings": {"scaled": False, "dropout": 0.25}, "positions": {"kind": "rotary"}, "norm": norm}
    encoder = {**around, "layers": [layer] * 2}
    decoder = {**around, "layers": [layer]}
    reading = {**around, "layers": [{**layer, "cross_attention": attention}]}
    size = {"vocabulary_size": 9, "d_model": 12}
    assert uniform.encoder(9) == parse_spec({**size, "encoder": encoder})
    assert uniform.decoder(9) == parse_spec({**size, "decoder": decoder, "output": {"tied": False}})
    assert uniform.encoder_decoder(9) == parse_spec(
        {**size, "encoder": encoder, "decoder": reading, "output": {"tied": False}}
    )


def test_defaults_follow_the_width() -> None:
    spec = UniformSpec(**SMALLEST).encoder(9)
    assert spec.encoder is not None
    layer = spec.encoder.layers[0]
    assert layer.self_attention is not None
    assert layer.feed_forward is not None
    assert (layer.self_attention.head_dim, layer.feed_forward.d_ff) == (4, 32)


@pytest.mark.parametrize("form", ["encoder", "decoder", "encoder_decoder"])
@pytest.mark.parametrize("kind", [None, *PositionKind])
def test_every_kind_of_positions_finds_its_place(kind: PositionKind | None, form: str) -> None:
    spec: TransformerSpec = getattr(UniformSpec(**SMALLEST, positions=kind), form)(9, max_positions=7)
    for stack in (spec.encoder, spec.decoder):
        if stack is not None:
            places = [stack.embeddings.positions, stack.positions]
            assert [place.kind for place in places if place is not None] == ([] if kind is None else [kind])
            if kind is PositionKind.LEARNED:
                assert stack.embeddings.positions == LearnedSpec(max_positions=7)


@pytest.mark.parametrize("placement", ["pre", "post", "sandwich"])
def test_a_stack_ends_in_a_norm_unless_its_layers_do(placement: str) -> None:
    spec = UniformSpec(**SMALLEST, norm_placement=placement).encoder(9)
    assert spec.encoder is not None
    assert (spec.encoder.norm is None) == (placement == "post")


def test_token_types_are_asked_for_with_the_encoder() -> None:
    spec = UniformSpec(**SMALLEST).encoder(9, num_token_types=2)
    assert spec.encoder is not None
    assert spec.encoder.embeddings.num_token_types == 2


MISUSES: dict[str, tuple[dict[str, Any], str]] = {
    "width": ({"d_model": 10, "num_heads": 4}, "head_dim: d_model 10 is not divisible by num_heads 4; give head_dim"),
    "heads": ({"num_kv_heads": 3}, "num_kv_heads: num_heads 2 is not divisible by num_kv_heads 3"),
    "width, rotary": ({"d_model": 10, "num_heads": 3, "positions": "rotary"}, "head_dim: d_model 10 is not"),
    "rotary": ({"d_model": 6, "positions": "rotary"}, "positions: rotary positions need an even head_dim, not 3"),
    "wide rotary": ({"head_dim": 5, "positions": "rotary"}, "positions: rotary positions need an even head_dim"),
    "sinusoids": ({"d_model": 9, "head_dim": 4}, "positions: sinusoidal positions need an even d_model, not 9"),
    "parallel": ({"norm_placement": "post", "parallel": True}, "parallel: parallel slots need norm_placement pre"),
    "layers": ({"num_layers": -1}, "num_layers: Input should be greater than 0"),
    "absurd layers": ({"decoder_layers": 10**6}, "decoder_layers: Input should be less than or equal to 1024"),
    "misspelt": ({"num_layer": 2}, "num_layer: unknown key; did you mean num_layers?"),
    "dropout": ({"dropout": 1}, "dropout: Input should be less than 1"),
    "unknown positions": ({"positions": "polar"}, "positions: Input should be 'sinusoidal'"),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_is_explained(misuse: str) -> None:
    changes, expected = MISUSES[misuse]
    with pytest.raises(SpecError) as raised:
        parse(UniformSpec, {**SMALLEST, **changes}, name="model", error=SpecError)
    head, fault = raised.value.message.splitlines()
    assert head == "model has 1 fault:"
    assert fault.strip().startswith(expected)


def test_all_faults_are_in_one_message() -> None:
    data = {**SMALLEST, "d_model": 9, "num_kv_heads": 3, "num_layer": 1, "dropout": 2, "window": 0, "d_ff": -4}
    with pytest.raises(SpecError, match="model has 7 faults") as raised:
        parse(UniformSpec, data, name="model", error=SpecError)
    for key in ("head_dim", "positions", "num_kv_heads", "num_layer", "dropout", "window", "d_ff"):
        assert f"\n  {key}: " in raised.value.message


def test_learned_positions_need_a_length() -> None:
    uniform = UniformSpec(**SMALLEST, positions="learned")
    with pytest.raises(SpecError, match=r"Give max_positions\."):
        uniform.encoder(9)
    with pytest.raises(SpecError, match="max_positions: Input should be greater than 0"):
        uniform.encoder(9, max_positions=0)


def test_a_vocabulary_has_limits() -> None:
    with pytest.raises(SpecError, match="vocabulary_size: Input should be greater than 0"):
        UniformSpec(**SMALLEST).encoder(0)


def test_a_python_user_gets_all_faults_as_well() -> None:
    with pytest.raises(ValidationError, match="2 validation errors"):
        UniformSpec(d_model=-1, num_layers=0, num_heads=2)


def count_parameters(uniform: UniformSpec, vocabulary_size: int) -> int:
    with torch.device("meta"):
        model = build(uniform.encoder_decoder(vocabulary_size))
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("changes", "vocabulary_size", "millions"),
    [
        ({}, 41_100, 65),
        ({"num_layers": 2}, 41_100, 36),
        ({"num_layers": 4}, 41_100, 50),
        ({"num_layers": 8}, 41_100, 80),
        ({"d_model": 256, "head_dim": 32}, 41_100, 28),
        ({"d_model": 1024, "head_dim": 128}, 41_100, 168),
        ({"d_ff": 1024}, 41_100, 53),
        ({"d_ff": 4096}, 41_100, 90),
        ({"d_model": 1024, "num_heads": 16, "d_ff": 4096, "dropout": 0.3}, 36_000, 213),
    ],
    ids=["base", "2 layers", "4 layers", "8 layers", "width 256", "width 1024", "inner 1024", "inner 4096", "big"],
)
def test_parameter_counts_are_those_of_table_3(changes: dict[str, Any], vocabulary_size: int, millions: int) -> None:
    """Vaswani et al. 2017, Table 3, base, (C) and big, to its rounding.

    The paper says "about 37,000" tokens. No single vocabulary gives all of its figures: base and (C) meet
    between 41,004 and 41,208, big between 35,368 and 36,344.
    """
    uniform = PRESETS["base"].model_copy(update=changes)
    assert abs(count_parameters(uniform, vocabulary_size) - millions * 1_000_000) <= 500_000


def test_big_is_the_row_of_the_table() -> None:
    changes = {"d_model": 1024, "num_heads": 16, "d_ff": 4096, "dropout": 0.3}
    assert PRESETS["big"] == PRESETS["base"].model_copy(update=changes)


@pytest.mark.parametrize(("name", "millions", "tolerance"), [("base", 65, 0.031), ("big", 213, 0.006)])
def test_counts_at_37000_tokens_are_near_the_table(name: str, millions: int, tolerance: float) -> None:
    assert count_parameters(PRESETS[name], 37_000) == pytest.approx(millions * 1e6, rel=tolerance)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_in_every_form(name: str) -> None:
    uniform = PRESETS[name]
    for spec in (uniform.encoder(10), uniform.decoder(10), uniform.encoder_decoder(10)):
        with torch.device("meta"):
            assert build(spec).spec == spec
