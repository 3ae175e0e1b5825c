"""Names that nearly fit: what stands around them, and what they may have been called before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.checkpoint.doctor.names import blocks, grouped, renames, stranger, unwrap

MODEL = {
    "embed.weight": (7, 4),
    **{f"layers.{layer}.attention.{part}.weight": (4, 4) for layer in range(3) for part in ("query", "key", "value")},
    **{f"layers.{layer}.mlp.up.weight": (6, 4) for layer in range(3)},
    "norm.weight": (4,),
}


def count_known(names: list[str]) -> int:
    return sum(name in MODEL for name in names)


@pytest.mark.parametrize(
    ("before", "taken"),
    [
        ("module.", ["module."]),
        ("_orig_mod.", ["_orig_mod."]),
        ("_orig_mod.module.", ["_orig_mod.", "module."]),
        ("module._orig_mod.", ["_orig_mod.", "module."]),
        ("net.inner.", ["net.", "inner."]),
        ("model.model.", ["model.", "model."]),
        ("a.b.c.", ["a.", "b.", "c."]),
        ("", []),
    ],
)
def test_what_stands_around_all_names_is_taken_off(before: str, taken: list[str]) -> None:
    bare, parts = unwrap([before + name for name in MODEL], count_known)
    assert bare == {name: before + name for name in MODEL}
    assert parts == taken


def test_wrappers_inside_names_are_taken_off() -> None:
    stored = {name.replace("layers.1.", "layers.1._checkpoint_wrapped_module."): name for name in MODEL}
    bare, parts = unwrap(stored, count_known)
    assert set(bare) == set(MODEL)
    assert parts == ["_checkpoint_wrapped_module."]


def test_nothing_is_taken_off_that_does_not_help() -> None:
    strange = ["module.x.weight", "module.y.weight"]
    assert unwrap(strange, count_known) == ({name: name for name in strange}, [])


def test_names_never_fall_together() -> None:
    bare, _ = unwrap(["module.embed.weight", "embed.weight"], count_known)
    assert sorted(bare.values()) == ["embed.weight", "module.embed.weight"]
    assert len(bare) == 2


def test_a_renamed_block_is_found_with_all_its_layers() -> None:
    stored = {name.replace(".attention.", ".attn."): shape for name, shape in MODEL.items() if "attention" in name}
    wanted = {name: shape for name, shape in MODEL.items() if "attention" in name}
    [rule] = renames(stored, wanted)
    assert str(rule) == "rename layers.{}.attn.* to layers.{}.attention.*"
    assert rule.names == {name.replace(".attention.", ".attn."): name for name in wanted}


def test_parts_of_one_shape_are_told_apart_by_their_names() -> None:
    short = {"query": "q", "key": "k", "value": "v"}
    wanted = {name: shape for name, shape in MODEL.items() if "attention" in name}
    stored = {}
    for name, shape in wanted.items():
        part = name.split(".")[-2]
        stored[name.replace(part, short[part])] = shape
    found = {old: new for rule in renames(stored, wanted) for old, new in rule.names.items()}
    assert len(found) == 9
    assert all(new.replace("query", "q").replace("key", "k").replace("value", "v") == old for old, new in found.items())


@pytest.mark.parametrize(
    "stored",
    [
        {"layers.0.other.weight": (4, 5)},
        {"layers.0.other.bias": (4, 4)},
        {"layers.1.other.weight": (4, 4)},
        {"layers.0.other.weight": (4, 4), "layers.1.other.weight": (4, 4)},
    ],
    ids=["shape", "leaf", "layer", "more layers"],
)
def test_what_differs_in_shape_or_layers_is_no_other_name(stored: dict[str, tuple[int, ...]]) -> None:
    assert renames(stored, {"layers.0.query.weight": (4, 4)}) == []


name_parts = st.lists(st.sampled_from(["a", "b", "layers", "0", "1", "{}", "{0.x}", "weight"]), min_size=1, max_size=5)


@given(
    st.dictionaries(name_parts.map(".".join), st.just((2, 2)), max_size=8),
    st.dictionaries(name_parts.map(".".join), st.just((2, 2)), max_size=8),
)
def test_rules_use_every_name_once(stored: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> None:
    pairs = [pair for rule in renames(stored, wanted) for pair in rule.names.items()]
    assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs)
    assert {old for old, _ in pairs} <= set(stored)
    assert {new for _, new in pairs} <= set(wanted)


def test_names_of_several_layers_are_said_once() -> None:
    assert grouped([*MODEL, "odd.0.x.1.weight", "odd.2.x.1.weight"]) == [
        "embed.weight",
        "layers.{0…2}.attention.query.weight",
        "layers.{0…2}.attention.key.weight",
        "layers.{0…2}.attention.value.weight",
        "layers.{0…2}.mlp.up.weight",
        "norm.weight",
        "odd.{0, 2}.x.1.weight",
    ]


def test_a_block_stands_for_its_modules_where_all_of_them_are_meant() -> None:
    modules = ["a.x.q", "a.x.k", "a.y", "b.x", "b.y"]
    assert blocks(["a.x.q", "a.x.k", "b.x", "b.y"], modules) == ["a.x", "b"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("layers.0.query.lora_A.weight", "LoRA"),
        ("lora_B.weight", "LoRA"),
        ("layers.0.query.qweight", "quantised"),
        ("layers.0.query.weight.absmax", "quantised"),
        ("optimizer.state.0.exp_avg", "training"),
        ("norm.running_mean", "batch norm"),
        ("layers.0.explorative.weight", None),
        ("scales", None),
    ],
)
def test_strangers_are_known_by_their_names(name: str, told: str | None) -> None:
    said = stranger(name)
    assert said is None if told is None else said is not None and told in said
