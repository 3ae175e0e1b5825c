"""Rotary positions are read from every spelling that configs have had, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from heedful.errors import InputTooLongError
from heedful.families import FAMILIES, ConfigReader
from heedful.families.rotary import REFUSED_SCALINGS, SCALINGS, RotaryKeys, read_rotary
from heedful.model import (
    LinearScalingSpec,
    Llama3ScalingSpec,
    RotaryScalings,
    RotarySpec,
    YarnScalingSpec,
    build,
)

NEOX = RotaryKeys(theta="rotary_emb_base", fraction="rotary_pct")
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
OPTIONS: dict[str, tuple[dict[str, Any], RotaryScalings | None, int]] = {
    "default": ({}, None, 512),
    "linear": ({"factor": 4.0}, LinearScalingSpec(factor=4.0), 2048),
    "dynamic": ({"factor": 4.0}, None, 512),
    "yarn": (
        {"factor": 16.0, "original_max_position_embeddings": 64, "beta_fast": 8, "attention_factor": 0.5},
        YarnScalingSpec(factor=16.0, original_max_positions=64, beta_fast=8.0, magnitude=0.5),
        1024,
    ),
    "llama3": (
        LLAMA3,
        Llama3ScalingSpec(factor=8.0, low_frequency_factor=1, high_frequency_factor=4, original_max_positions=64),
        512,
    ),
}
"""What each scaling says beside its name, what it is, and the longest text with it."""


def read(config: Mapping[str, Any], **options: Any) -> tuple[RotarySpec, list[str]]:
    """The positions of heads of 16, and the faults."""
    reader = ConfigReader({"max_position_embeddings": 512, **config})
    spec = read_rotary(reader, head_dim=16, **options)
    reader.finish({})
    return spec, reader.faults


def test_every_scaling_is_tried() -> None:
    assert {*OPTIONS, *REFUSED_SCALINGS} == set(SCALINGS)


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("spelling", ["rope_parameters", "rope_type", "type", "both"])
def test_both_spellings_say_the_same(kind: str, spelling: str) -> None:
    options, scaling, longest = OPTIONS[kind]
    names = {"type": ["type"], "both": ["type", "rope_type"]}.get(spelling, ["rope_type"])
    section = {**dict.fromkeys(names, kind), **options}
    config: dict[str, Any] = (
        {"rope_parameters": {**section, "rope_theta": 500.0}}
        if spelling == "rope_parameters"
        else {"rope_theta": 500.0, "rope_scaling": section}
    )
    assert read(config) == (RotarySpec(base=500.0, scaling=scaling, max_positions=longest), [])


def test_yarn_without_a_factor_reaches_the_longest_text() -> None:
    spec, faults = read({"rope_scaling": {"type": "yarn", "original_max_position_embeddings": 64}})
    assert (spec.scaling, spec.max_positions) == (YarnScalingSpec(factor=8.0, original_max_positions=64), 512)
    assert faults == []


@pytest.mark.parametrize("config", [{}, {"rope_scaling": None}, {"rope_parameters": None, "rope_scaling": {}}])
def test_without_a_word_there_is_no_scaling(config: dict[str, Any]) -> None:
    assert read(config, base=300.0) == (RotarySpec(base=300.0, max_positions=512), [])


def test_a_missing_length_is_that_of_the_family() -> None:
    assert read_rotary(ConfigReader({}), head_dim=16, max_positions=99).max_positions == 99


def test_a_part_of_a_head_may_turn_in_both_spellings() -> None:
    expected = RotarySpec(base=500.0, width=8, max_positions=512)
    assert read({"rotary_emb_base": 500, "rotary_pct": 0.5}, keys=NEOX) == (expected, [])
    section = {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5}
    assert read({"rope_parameters": section}, keys=NEOX) == (expected, [])
    assert read({"rotary_emb_base": 500}, keys=NEOX, fraction=0.5) == (expected, [])


@pytest.mark.parametrize(
    "config", [{"partial_rotary_factor": 0.5}, {"rope_parameters": {"partial_rotary_factor": 0.5}}]
)
def test_a_part_of_a_head_is_refused_where_the_family_turns_whole_ones(config: dict[str, Any]) -> None:
    _, faults = read(config)
    assert faults == ["partial_rotary_factor is 0.5: this family turns whole heads"]
    assert read({"partial_rotary_factor": 1.0})[1] == []


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_a_part_that_is_no_even_number_of_columns_is_refused(share: float) -> None:
    _, faults = read({"rotary_pct": share}, keys=NEOX)
    assert faults == [f"{int(16 * share)} columns of a head of 16 would turn, and must be an even number above 0"]


LOCAL = RotaryKeys(theta="rope_local_base_freq", scaling=None)


def test_types_of_layers_have_positions_of_their_own() -> None:
    near = {"rope_type": "default", "rope_theta": 50.0}
    far = {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}
    reader = ConfigReader({"rope_parameters": {"sliding_attention": near, "full_attention": far}})
    assert read_rotary(reader, head_dim=16, layer_type="sliding_attention").base == 50.0
    spec = read_rotary(reader, head_dim=16, layer_type="full_attention")
    assert (spec.base, spec.scaling) == (500.0, LinearScalingSpec(factor=2.0))
    reader.finish({})
    assert reader.faults == []


def test_types_of_layers_have_keys_of_their_own_in_the_earlier_spelling() -> None:
    reader = ConfigReader(
        {"rope_theta": 500.0, "rope_local_base_freq": 50.0, "rope_scaling": {"type": "linear", "factor": 2.0}}
    )
    near = read_rotary(reader, head_dim=16, keys=LOCAL, layer_type="sliding_attention")
    far = read_rotary(reader, head_dim=16, layer_type="full_attention")
    assert (near.base, near.scaling) == (50.0, None)
    assert (far.base, far.scaling) == (500.0, LinearScalingSpec(factor=2.0))
    reader.finish({})
    assert reader.faults == []


def test_a_section_that_no_layer_reads_is_told() -> None:
    section = {"full_attention": {"rope_theta": 500.0}, "rope_theta": 50.0}
    _, faults = read({"rope_parameters": section}, layer_type="full_attention")
    assert faults == ["rope_parameters.rope_theta is a key that nobody reads: it may change the numbers"]
    _, faults = read({"rope_parameters": {"full_attention": {"rope_theta": 500.0}}})
    assert faults == ["rope_parameters.full_attention is a key that nobody reads: it may change the numbers"]


def test_two_spellings_at_once_are_refused() -> None:
    _, faults = read({"rope_parameters": {"rope_theta": 5.0}, "rope_scaling": {"type": "linear", "factor": 2.0}})
    assert faults == ["rope_parameters.rope_theta is a key that nobody reads: it may change the numbers"]


@pytest.mark.parametrize("kind", REFUSED_SCALINGS)
@pytest.mark.parametrize("key", ["type", "rope_type"])
def test_what_depends_on_the_longest_text_of_a_batch_is_refused_by_name(key: str, kind: str) -> None:
    options = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8, "original_max_position_embeddings": 64}
    _, faults = read({"rope_scaling": {key: kind, **options}})
    assert faults == [f"the positions' rope_type is {kind!r}: {REFUSED_SCALINGS[kind]}"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"rope_type": "mrope"}, "rope_type is 'mrope', and must be one that heedful has"),
    "no name": ({"rope_type": 3}, "rope_type is 3, and must be one that heedful has"),
    "no factor": ({"rope_type": "linear"}, "factor is missing, and must be a number from 1 to 1e+06"),
    "huge factor": ({"rope_type": "linear", "factor": 1e9}, "factor is 1000000000.0, and must be a number"),
    "shrinking": ({"rope_type": "dynamic", "factor": 0.5}, "factor is 0.5, and must be a number"),
    "negative": ({"rope_type": "yarn", "factor": -2.0}, "factor is -2.0, and must be a number"),
    "infinite": ({"rope_type": "linear", "factor": float("inf")}, "factor is inf, and must be a number"),
    "text": ({"rope_type": "linear", "factor": "two"}, "factor is 'two', and must be a number"),
    "no base": ({"rope_theta": 0}, "rope_theta is 0, and must be a number from 1.001"),
    "huge base": ({"rope_theta": 1e300}, "rope_theta is 1e+300, and must be a number from 1.001"),
    "no lengths": (
        {**LLAMA3, "rope_type": "llama3", "original_max_position_embeddings": 0},
        "original_max_position_embeddings is 0, and must be a whole number",
    ),
    "stray key": ({"rope_type": "linear", "factor": 2.0, "finetuned": True}, "finetuned is a key that nobody reads"),
    "another scaling's key": ({"rope_type": "linear", "factor": 2.0, "beta_fast": 8}, "beta_fast is a key that nobody"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("section", ["rope_scaling", "rope_parameters"])
def test_absurd_values_are_refused_by_name(section: str, bad: str) -> None:
    options, message = BAD[bad]
    _, faults = read({section: options})
    assert any(message in fault for fault in faults), faults


@pytest.mark.parametrize("model_type", ["llama", "gpt_neox"])
def test_beyond_the_positions_of_a_dynamic_scaling_texts_are_refused(model_type: str) -> None:
    reader = ConfigReader(
        {
            "vocab_size": 11,
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 4,
            "max_position_embeddings": 6,
            "rope_scaling": {"type": "dynamic", "factor": 2.0},
        }
    )
    model = build(FAMILIES[model_type].spec(reader), seed=0)
    assert reader.faults == []
    assert model.max_positions == 6
    assert model.decode(torch.zeros(1, 6, dtype=torch.int64)).isfinite().all()
    with pytest.raises(InputTooLongError, match="a text of 7 tokens was given; the model takes 6"):
        model.decode(torch.zeros(1, 7, dtype=torch.int64))


@pytest.mark.parametrize(("key", "said"), [("rope_theta", "rotary_emb_base"), ("partial_rotary_factor", "rotary_pct")])
def test_old_and_new_keys_of_gpt_neox_must_agree(key: str, said: str) -> None:
    config = {"hidden_size": 32, "num_attention_heads": 2, said: 0.5 if said == "rotary_pct" else 500}
    for value, fault in ((config[said], []), (0.75, [f"{key} is 0.75: it is not {said}"])):
        reader = ConfigReader({**config, key: value})
        FAMILIES["gpt_neox"].spec(reader)
        assert reader.faults == fault
