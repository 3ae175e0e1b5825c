"""Masks allow exactly what their rules say, and are left out where they would allow everything."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.nn import AttentionMask, padding_mask, self_attention_mask


@st.composite
def lengths(draw: st.DrawFn) -> tuple[int, int]:
    key_length = draw(st.integers(1, 9))
    return draw(st.integers(1, key_length)), key_length


@given(lengths(), st.booleans(), st.none() | st.integers(1, 12), st.data())
def test_a_query_sees_what_the_rules_allow(
    sizes: tuple[int, int], causal: bool, window: int | None, data: st.DataObject
) -> None:
    query_length, key_length = sizes
    rows = data.draw(
        st.none() | st.lists(st.lists(st.booleans(), min_size=key_length, max_size=key_length), min_size=1)
    )
    mask = None if rows is None else torch.tensor(rows)
    scores, is_causal = self_attention_mask(query_length, key_length, causal=causal, window=window, mask=mask)
    assert not (is_causal and scores is not None)

    for text in range(1 if rows is None else len(rows)):
        for query in range(query_length):
            position = key_length - query_length + query
            for key in range(key_length):
                expected = (
                    (rows is None or rows[text][key])
                    and (not causal or key <= position)
                    and (window is None or abs(position - key) < window)
                )
                if scores is None:
                    actual = not is_causal or key <= query
                else:
                    full = scores.expand(len(rows or [0]), 1, query_length, key_length)
                    actual = bool(full[text, 0, query, key])
                assert actual == expected


def test_nothing_hidden_needs_no_mask() -> None:
    assert padding_mask(None) == AttentionMask(None, is_causal=False)
    assert self_attention_mask(5, 5) == AttentionMask(None, is_causal=False)
    assert self_attention_mask(5, 5, window=5) == AttentionMask(None, is_causal=False)
    assert self_attention_mask(5, 5, causal=True) == AttentionMask(None, is_causal=True)
    assert self_attention_mask(1, 5, causal=True) == AttentionMask(None, is_causal=False)


def test_a_bias_goes_where_allowed_and_minus_infinity_elsewhere() -> None:
    bias = torch.randn(1, 2, 3, 3)
    scores, is_causal = self_attention_mask(3, 3, causal=True, bias=bias)
    assert scores is not None
    assert not is_causal
    allowed = torch.ones(3, 3).tril().bool()
    assert torch.equal(scores[..., allowed], bias[..., allowed])
    assert (scores[..., ~allowed] == -torch.inf).all()
