"""How wishes of a user change the search for answers."""

from __future__ import annotations

import pytest

from heedful.errors import RequestError
from heedful.generation import GenerationSettings
from heedful.tasks.text_to_text.search import LENGTHS, fitted_settings, length_changes

USUAL = GenerationSettings(max_new_tokens=120, min_new_tokens=20)


@pytest.mark.parametrize(
    ("length", "least", "most"),
    [("short", 15, 30), ("medium", 20, 120), ("long", 60, 120), ("50", 25, 50), ("1", 0, 1), ("400", 200, 400)],
)
def test_each_length_has_its_tokens(length: str, least: int, most: int) -> None:
    settings = USUAL.model_copy(update=length_changes(length, USUAL))
    assert (settings.min_new_tokens, settings.max_new_tokens) == (least, most)


@pytest.mark.parametrize("length", [*LENGTHS, "3"])
@pytest.mark.parametrize(("longest", "shortest"), [(1, 0), (1, 1), (7, 7), (256, 0)])
def test_every_length_is_possible_for_every_model(length: str, longest: int, shortest: int) -> None:
    usual = GenerationSettings(max_new_tokens=longest, min_new_tokens=shortest)
    settings = GenerationSettings.model_validate(usual.model_dump() | length_changes(length, usual))
    assert settings.min_new_tokens <= settings.max_new_tokens


@pytest.mark.parametrize("length", ["", "0", "-3", "1.5", "lng", "²"])
def test_what_is_no_length_is_refused(length: str) -> None:
    with pytest.raises(RequestError, match="is no length of a text"):
        length_changes(length, USUAL)


@pytest.mark.parametrize(
    ("limit", "given", "least", "most"),
    [
        (256, {}, 20, 120),
        (16, {}, 16, 16),
        (256, {"max_new_tokens": 10}, 10, 10),
        (100, {"max_new_tokens": 200}, 20, 100),
        (100, {"min_new_tokens": 30}, 30, 100),
    ],
)
def test_a_usual_shortest_length_gives_way(limit: int, given: dict[str, int], least: int, most: int) -> None:
    settings = fitted_settings(USUAL, limit, given)
    assert (settings.min_new_tokens, settings.max_new_tokens) == (least, most)


def test_a_shortest_length_that_was_asked_for_does_not_give_way() -> None:
    with pytest.raises(RequestError, match="min_new_tokens 30 exceeds max_new_tokens 16"):
        fitted_settings(USUAL, 16, {"min_new_tokens": 30})
