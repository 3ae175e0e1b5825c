"""Settings: closed, frozen, and every fault said at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from heedful.errors import CheckpointError, RecipeError, RequestError, SpecError
from heedful.settings import Settings, nearest, parse


class Round(Settings):
    kind: Literal["round"] = "round"
    radius: float = Field(gt=0)


class Square(Settings):
    kind: Literal["square"] = "square"
    side: float = Field(gt=0)


class Box(Settings):
    width: int = Field(gt=0)
    title: str | None = None
    inner: Round | None = None
    shape: Annotated[Round | Square, Field(discriminator="kind")] = Round(radius=1)
    shapes: tuple[Round, ...] = ()


def fault_lines(data: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse(Box, data, name="the box", error=RecipeError)
    return caught.value.message.splitlines()


def test_settings_are_frozen() -> None:
    box = Box(width=1)
    with pytest.raises(ValidationError):
        box.width = 2  # type: ignore[misc]
    assert box.width == 1


def test_good_data_are_read() -> None:
    box = parse(
        Box, {"width": 3, "inner": {"radius": 2}, "shape": {"kind": "square", "side": 1}}, name="x", error=SpecError
    )
    assert (box.width, box.inner, box.shape) == (3, Round(radius=2), Square(side=1))


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"width": 1, "tilte": "a"}, "tilte: unknown key; did you mean title?"),
        ({"width": 1, "inner": {"radius": 1, "radiu": 2}}, "inner.radiu: unknown key; did you mean radius?"),
        ({"width": 1, "shapes": [{"radius": 1, "knd": 2}]}, "shapes.0.knd: unknown key; did you mean kind?"),
        ({"width": 1, "zzz": 0}, "zzz: unknown key; known: inner, shape, shapes, title, width"),
        ({"width": 1, 7: 0}, "7: Keys should be strings (got 7)"),
        ({}, "width: required, but not given"),
        (
            {"width": "wide"},
            "width: Input should be a valid integer, unable to parse string as an integer (got 'wide')",
        ),
        ({"width": 0}, "width: Input should be greater than 0 (got 0)"),
        ({"width": 1, "inner": 5}, "inner: should hold keys with values (got 5)"),
        ({"width": 1, "inner": {"radius": float("inf")}}, "inner.radius: Input should be a finite number (got inf)"),
        ("nothing", "the whole: should hold keys with values (got 'nothing')"),
        (None, "the whole: should hold keys with values (got None)"),
    ],
)
def test_a_fault_names_place_value_and_remedy(data: object, line: str) -> None:
    assert fault_lines(data) == ["the box has 1 fault:", f"  {line}"]


def test_a_misspelt_key_in_a_union_is_matched_with_the_keys_of_its_members() -> None:
    (_, line) = fault_lines({"width": 1, "shape": {"kind": "square", "side": 1, "sied": 1}})
    assert "sied: unknown key; did you mean side?" in line
    (_, line) = fault_lines({"width": 1, "shape": {"kind": "square", "side": 1, "radiu": 1}})
    assert "radiu: unknown key; known: kind, side" in line, "no key of the other member"


def test_all_faults_are_said_at_once() -> None:
    lines = fault_lines({"widht": 1, "title": 3, "inner": {"radius": -1, "colour": "red"}})
    assert lines[0] == "the box has 5 faults:"
    assert {line.split(":")[0].strip() for line in lines[1:]} == {
        "widht",
        "width",
        "title",
        "inner.radius",
        "inner.colour",
    }


@pytest.mark.parametrize("error", [SpecError, RecipeError, CheckpointError])
def test_the_error_is_the_one_asked_for(error: type[RequestError]) -> None:
    with pytest.raises(error) as caught:
        parse(Box, {}, name="the box", error=error)
    assert caught.value.exit_code == 2


def test_a_long_value_is_not_repeated_in_full() -> None:
    (_, line) = fault_lines({"width": "w" * 100_000})
    assert len(line) < 250


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["width", "inner", "radius", "kind", "shape"]) | st.text(max_size=3), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(json_like)
def test_whatever_is_read_is_settings_or_one_of_our_errors(data: Any) -> None:
    try:
        box = parse(Box, data, name="the box", error=RecipeError)
    except RecipeError as error:
        assert error.message.startswith("the box has ")
    else:
        assert Box.model_validate_json(box.model_dump_json()) == box


def test_nearest_knows_a_near_word_and_lists_the_others() -> None:
    assert nearest("learning_rte", ["epochs", "learning_rate"]) == "did you mean learning_rate?"
    assert nearest("x", ["b", "a"]) == "known: a, b"
    assert nearest("x", [f"word{number:02}" for number in range(40)]).endswith("word29, …")
