"""The cache keeps what was read, in memory set aside once."""

from __future__ import annotations

import pytest
import torch

from heedful.errors import InputTooLongError
from heedful.nn import KeyValueCache


def test_keys_and_values_are_kept_in_order_without_new_memory() -> None:
    cache = KeyValueCache([(2, 3), (1, 5)], batch_size=4, max_length=6)
    layer, place = cache.layers[1], cache.layers[1].keys.data_ptr()
    parts = [torch.randn(2, 4, 1, length, 5) for length in (3, 1, 2)]
    for part in parts:
        keys, values = layer.append(*part)
    assert isinstance(keys, torch.Tensor)
    assert isinstance(values, torch.Tensor)
    assert torch.equal(torch.stack([keys, values]), torch.cat(parts, dim=3))
    assert keys.data_ptr() == place
    assert cache.layers[0].keys.shape == (4, 2, 6, 3)


def test_padding_is_remembered_from_the_first_mask_on() -> None:
    cache = KeyValueCache([(1, 1)], batch_size=2, max_length=7)
    assert cache.extend(2, None) is None
    given = torch.tensor([[False, True], [True, True]])
    known = torch.ones(2, 2, dtype=torch.bool)
    expected = torch.cat([known, given], dim=1)
    mask = cache.extend(2, given)
    assert mask is not None
    assert torch.equal(mask, expected)
    mask = cache.extend(1, None)
    assert mask is not None
    assert torch.equal(mask, torch.cat([expected, known[:, :1]], dim=1))
    assert cache.length == 5


def test_a_full_cache_says_so_and_keeps_what_it_has() -> None:
    cache = KeyValueCache([(1, 1)], batch_size=1, max_length=3)
    cache.extend(2, None)
    with pytest.raises(InputTooLongError, match=r"3 tokens: 2 are taken, 2 more"):
        cache.extend(2, None)
    assert cache.length == 2
