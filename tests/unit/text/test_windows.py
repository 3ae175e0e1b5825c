"""Fitting long texts into a model."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.text import Encoding, LongInput, fit

START, END = 900, 901
CUTTING = [LongInput.TRUNCATE, LongInput.TRUNCATE_MIDDLE]


def encoding(first: int, second: int | None = None) -> Encoding:
    """A text of ``first`` tokens numbered from 0, and maybe one of ``second`` tokens numbered from 1000."""
    ids = [START, *range(first), END]
    types = [0] * len(ids)
    if second is not None:
        ids += [*range(1000, 1000 + second), END]
        types += [1] * (second + 1)
    texts = [None if token in {START, END} else kind for token, kind in zip(ids, types, strict=True)]
    return Encoding(ids, types, [(token, token + 1) for token in ids], texts)


@pytest.mark.parametrize("long_input", list(LongInput))
def test_a_text_that_fits_is_left_as_it_is(long_input: LongInput) -> None:
    text = encoding(6)
    fitted = fit(text, 8, long_input)
    assert fitted.windows == (text,)
    assert fitted.cut_tokens == 0


def test_error_names_both_lengths() -> None:
    with pytest.raises(InputTooLongError, match=r"9 tokens, and the model takes 8"):
        fit(encoding(7), 8, LongInput.ERROR)


def test_refusing_is_what_happens_unless_said_otherwise() -> None:
    with pytest.raises(InputTooLongError):
        fit(encoding(7), 8)


def test_truncate_keeps_the_beginning() -> None:
    fitted = fit(encoding(10), 7, LongInput.TRUNCATE)
    assert fitted.windows[0].ids == [START, 0, 1, 2, 3, 4, END]
    assert fitted.cut_tokens == 5


def test_truncate_middle_keeps_both_ends() -> None:
    fitted = fit(encoding(10), 7, LongInput.TRUNCATE_MIDDLE)
    assert fitted.windows[0].ids == [START, 0, 1, 2, 8, 9, END]
    assert fitted.cut_tokens == 5


def test_windows_overlap_and_the_last_reaches_the_end() -> None:
    fitted = fit(encoding(10), 6, LongInput.WINDOW, overlap=1)
    assert [window.ids for window in fitted.windows] == [
        [START, 0, 1, 2, 3, END],
        [START, 3, 4, 5, 6, END],
        [START, 6, 7, 8, 9, END],
    ]
    assert fitted.cut_tokens == 0


@given(first=st.integers(1, 60), max_length=st.integers(3, 40), data=st.data())
def test_windows_cover_everything_in_order(first: int, max_length: int, data: st.DataObject) -> None:
    room = max_length - 2
    overlap = data.draw(st.none() | st.integers(0, room - 1))
    text = encoding(first)
    windows = fit(text, max_length, LongInput.WINDOW, overlap=overlap).windows
    assert {token for window in windows for token in window.ids} == set(text.ids)
    least_shared = room // 4 if overlap is None else overlap
    for window in windows:
        assert window.ids[0] == START
        assert window.ids[-1] == END
        content = window.ids[1:-1]
        assert content == list(range(content[0], content[0] + len(content)))
        assert len(window) == min(max_length, first + 2)
    for before, after in itertools.pairwise(windows):
        assert before.ids[1] < after.ids[1]
        assert len(set(before.ids[1:-1]) & set(after.ids[1:-1])) >= least_shared


@pytest.mark.parametrize("long_input", CUTTING)
@given(first=st.integers(0, 30), second=st.integers(0, 30), max_length=st.integers(4, 40))
def test_of_a_pair_the_longer_text_is_cut(long_input: LongInput, first: int, second: int, max_length: int) -> None:
    pair = encoding(first, second)
    fitted = fit(pair, max_length, long_input)
    (window,) = fitted.windows
    kept = [
        sum(not s and t == kind for s, t in zip(window.special, window.token_types, strict=True)) for kind in (0, 1)
    ]
    assert len(window) == min(max_length, len(pair))
    assert fitted.cut_tokens == len(pair) - len(window)
    assert [token for token in window.ids if token in {START, END}] == [START, END, END]
    assert [token for token in pair.ids if token in set(window.ids)] == window.ids
    for length, left, other in ((first, kept[0], kept[1]), (second, kept[1], kept[0])):
        if left < length:
            assert left >= other - 1, "a text was cut although the other one is longer"


@pytest.mark.parametrize("long_input", CUTTING)
def test_offsets_stay_with_their_tokens(long_input: LongInput) -> None:
    (window,) = fit(encoding(20, 9), 16, long_input).windows
    assert window.offsets == [(token, token + 1) for token in window.ids]


def test_a_pair_is_not_read_in_windows() -> None:
    with pytest.raises(UnsupportedError, match="pair of texts cannot be read in windows"):
        fit(encoding(10, 3), 8, LongInput.WINDOW)


@pytest.mark.parametrize("long_input", list(LongInput))
def test_special_tokens_leave_room_for_text(long_input: LongInput) -> None:
    with pytest.raises(RequestError, match="no room for text") as caught:
        fit(encoding(10), 2, long_input)
    assert "at least 3 tokens" in str(caught.value)


@pytest.mark.parametrize("overlap", [-1, 4, 5])
def test_overlap_must_leave_something_new(overlap: int) -> None:
    with pytest.raises(RequestError, match=f"cannot overlap by {overlap}"):
        fit(encoding(10), 6, LongInput.WINDOW, overlap=overlap)
