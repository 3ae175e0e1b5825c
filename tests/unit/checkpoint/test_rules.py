"""Rules lose nothing in either direction, and know every name that they are meant for and no other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heedful.checkpoint.rules import (
    Drop,
    Rule,
    Rules,
    Split,
    SplitHeads,
    Squeeze,
    Step,
    Transpose,
    plan,
    their_names,
    write,
)
from heedful.errors import CheckpointError

QKV = ("q.*", "k.*", "v.*")
sizes = st.integers(1, 5)


def numbered(*shape: int) -> Tensor:
    """All entries different, so that none can take the place of another."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)


def parts(rule: Rule, theirs: Tensor) -> list[Tensor]:
    """What a rule makes of a tensor, after the way back has given that tensor again."""
    ours = list(rule.read(theirs))
    assert len(ours) == len(rule.targets)
    assert all(part.is_contiguous() for part in ours)
    back = rule.write(ours)
    assert back.is_contiguous() and torch.equal(back, theirs)
    return ours


@given(st.lists(sizes, max_size=3))
def test_a_plain_rule_changes_nothing(shape: list[int]) -> None:
    (ours,) = parts(Rule("a", "b"), numbered(*shape))
    assert torch.equal(ours, numbered(*shape))


@given(sizes, sizes)
def test_transposing_swaps_in_and_out(inner: int, outer: int) -> None:
    (ours,) = parts(Transpose("a.*", "b.*"), numbered(inner, outer))
    assert torch.equal(ours, numbered(inner, outer).T)
    (bias,) = parts(Transpose("a.*", "b.*"), numbered(outer))
    assert torch.equal(bias, numbered(outer))


@given(sizes, sizes, st.booleans())
def test_splitting_cuts_what_stands_one_below_the_other(height: int, width: int, transposed: bool) -> None:
    rule = Split("qkv.*", QKV, transposed=transposed)
    stacked = numbered(3 * height, width)
    ours = parts(rule, stacked.T.contiguous() if transposed else stacked)
    assert all(torch.equal(part, stacked[n * height : (n + 1) * height]) for n, part in enumerate(ours))
    bias = numbered(3 * height)
    assert all(torch.equal(part, bias[n * height : (n + 1) * height]) for n, part in enumerate(parts(rule, bias)))


@given(st.tuples(sizes, sizes, sizes), sizes, sizes)
def test_parts_may_be_of_unequal_height(ratio: tuple[int, int, int], unit: int, width: int) -> None:
    ours = parts(Split("qkv.*", QKV, ratio=ratio), numbered(sum(ratio) * unit, width))
    assert [len(part) for part in ours] == [share * unit for share in ratio]
    assert torch.equal(torch.cat(ours), numbered(sum(ratio) * unit, width))


@given(sizes, sizes, st.none() | sizes)
def test_splitting_heads_gathers_the_parts_of_each(num_heads: int, head_dim: int, width: int | None) -> None:
    shape = (num_heads, 3, head_dim) if width is None else (num_heads, 3, head_dim, width)
    theirs = numbered(*shape)
    ours = parts(SplitHeads("qkv.*", QKV, num_heads=num_heads), theirs.flatten(0, 2))
    for number, part in enumerate(ours):
        heads = [theirs[head, number] for head in range(num_heads)]
        assert torch.equal(part, torch.cat(heads))


@given(sizes)
def test_squeezing_drops_a_row_of_one(width: int) -> None:
    (ours,) = parts(Squeeze("a", "b"), numbered(1, width))
    assert torch.equal(ours, numbered(width))


@pytest.mark.parametrize(
    ("rule", "shape", "message"),
    [
        (Split("qkv.*", QKV), (4, 2), "no 3 equal parts"),
        (Split("qkv.*", QKV), (), "no 3 equal parts"),
        (Split("qkv.*", QKV, transposed=True), (3, 4), "no 3 equal parts"),
        (Split("qkv.*", QKV, ratio=(4, 1, 1)), (9, 2), "no 6 equal parts"),
        (SplitHeads("qkv.*", QKV, num_heads=2), (9, 2), "no 6 equal parts"),
        (SplitHeads("qkv.*", QKV, num_heads=2), (), "no 6 equal parts"),
        (Squeeze("a", "b"), (2, 3), "not of shape"),
        (Squeeze("a", "b"), (3,), "not of shape"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(rule: Rule, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        rule.read(torch.zeros(shape))


RULES: Rules = (
    Rule("embed.weight", "tokens.weight", also=("shared.weight",)),
    Rule("layer.{}.norm.*", "layers.{}.norm_before.*"),
    Split("layer.{}.attention.{}.qkv.*", tuple(f"layers.{{}}.heads.{{}}.{name}" for name in QKV)),
    Drop("layer.{}.position_ids", "the numbers 0, 1, …"),
)
TENSORS = {
    "tokens.weight": numbered(4, 2),
    "layers.0.norm_before.weight": numbered(2),
    "layers.12.norm_before.bias": numbered(2) + 5,
    **{f"layers.3.heads.7.{name}.weight": numbered(2, 2) + 10 * n for n, name in enumerate("qkv")},
}


def test_numbers_and_endings_are_carried_over() -> None:
    written = write(RULES, TENSORS)
    assert set(written) == {
        "embed.weight",
        "layer.0.norm.weight",
        "layer.12.norm.bias",
        "layer.3.attention.7.qkv.weight",
    }
    found = plan(RULES, written)
    assert not found.unexpected and not found.dropped
    back = {
        name: part
        for step in found.steps
        for name, part in zip(step.ours, step.rule.read(written[step.stored[0]]), strict=True)
    }
    assert set(back) == set(TENSORS)
    assert all(torch.equal(back[name], tensor) for name, tensor in TENSORS.items())


@given(st.integers(0, 9999), st.integers(0, 9999), st.sampled_from(["weight", "bias"]))
def test_each_of_our_names_has_the_name_it_is_read_from(layer: int, head: int, ending: str) -> None:
    theirs = f"layer.{layer}.attention.{head}.qkv.{ending}"
    (step,) = plan(RULES, [theirs]).steps
    for name in step.ours:
        assert their_names(RULES, name) == (theirs, step.ours)


@pytest.mark.parametrize(
    "name",
    [
        "embedXweight",  # a dot is a dot
        "embed.weight.more",
        "more.embed.weight",
        "layer.x.norm.weight",
        "layer..norm.weight",
        "layer.12345.norm.weight",
        "layer.-1.norm.weight",
        "layer.1.norm.running_mean",
        "layer.1.position_ids.bias",
        "Embed.weight",
        "",
    ],
)
def test_other_names_are_unexpected(name: str) -> None:
    found = plan(RULES, [name])
    assert found == type(found)((), {}, (name,))


def test_what_is_dropped_is_told_with_its_reason() -> None:
    found = plan(RULES, ["layer.4.position_ids", "embed.weight"])
    assert found.dropped == {"layer.4.position_ids": "the numbers 0, 1, …"}
    assert [step.stored for step in found.steps] == [("embed.weight",)]


@pytest.mark.parametrize(
    "stored", [["shared.weight"], ["embed.weight", "shared.weight"], ["shared.weight", "embed.weight"]]
)
def test_a_tensor_stored_twice_is_one_and_its_own_name_comes_first(stored: list[str]) -> None:
    (step,) = plan(RULES, stored).steps
    assert step == Step(RULES[0], tuple(sorted(stored)), ("tokens.weight",))  # type: ignore[arg-type]


def test_no_tensor_that_means_the_same_is_lost() -> None:
    names = ("bert.layer.2.norm.weight", "layer.2.norm.gamma", "layer.2.norm.weight")
    (step,) = plan(RULES, names, prefixes=("bert.",)).steps
    assert step.stored == names


@pytest.mark.parametrize("prefix", ["", "bert.", "model."])
def test_prefixes_change_nothing(prefix: str) -> None:
    found = plan(RULES, [f"{prefix}embed.weight", f"{prefix}layer.4.position_ids"], prefixes=("bert.", "model."))
    assert [(step.stored, step.ours) for step in found.steps] == [((f"{prefix}embed.weight",), ("tokens.weight",))]
    assert list(found.dropped) == [f"{prefix}layer.4.position_ids"]


def test_prefixes_stand_once_and_in_front() -> None:
    names = ("bert.model.embed.weight", "embed.bert.weight", "other.embed.weight")
    assert plan(RULES, names, prefixes=("bert.", "model.")).unexpected == names


def test_names_of_a_layer_norm_before_pytorch_are_known() -> None:
    steps = plan(RULES, ["layer.2.norm.gamma", "layer.2.norm.beta"]).steps
    assert [(step.stored, step.ours) for step in steps] == [
        (("layer.2.norm.gamma",), ("layers.2.norm_before.weight",)),
        (("layer.2.norm.beta",), ("layers.2.norm_before.bias",)),
    ]


def test_the_first_rule_that_knows_a_name_counts() -> None:
    rules = (Drop("a.{}.b.weight", "not of use"), Rule("a.{}.b.*", "c.{}.*"))
    found = plan(rules, ["a.1.b.weight", "a.1.b.bias"])
    assert list(found.dropped) == ["a.1.b.weight"]
    assert [step.ours for step in found.steps] == [("c.1.bias",)]


def test_a_tensor_without_a_name_of_theirs_cannot_be_written() -> None:
    with pytest.raises(CheckpointError, match=r"no weight for layers\.0\.gate\.weight") as caught:
        write(RULES, {"layers.0.gate.weight": numbered(2)})
    assert caught.value.remedy is not None
    assert their_names(RULES, "layers.0.gate.weight") is None


def test_a_part_that_is_missing_cannot_be_written() -> None:
    tensors = {f"layers.3.heads.7.{name}.weight": numbered(2, 2) for name in "qv"}
    with pytest.raises(CheckpointError, match=r"is made of .* and layers\.3\.heads\.7\.k\.weight is missing"):
        write(RULES, tensors)
