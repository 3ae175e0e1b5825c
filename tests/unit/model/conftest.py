"""One small model for every kind of part there is."""

from __future__ import annotations

from typing import Any

import pytest

from heedful.model import Activation, NormKind, NormPlacement, PositionKind, UniformSpec

VARIANTS: dict[str, dict[str, Any]] = {
    "no positions": {"positions": None},
    **{f"{kind} positions": {"positions": kind} for kind in PositionKind},
    **{f"{placement}-norm": {"norm_placement": placement} for placement in NormPlacement},
    **{f"{kind} norm": {"norm": {"kind": kind}} for kind in NormKind},
    **{f"{activation}": {"activation": activation} for activation in Activation},
    "gated": {"gated": True, "activation": "silu"},
    "grouped heads": {"num_kv_heads": 2, "positions": "rotary"},
    "multi-query": {"num_kv_heads": 1, "positions": "relative_bias"},
    "wide heads": {"head_dim": 6, "positions": "alibi"},
    "sliding window": {"window": 3},
    "rotary sliding window": {"window": 2, "positions": "rotary"},
    "parallel": {"parallel": True},
    "parallel sandwich": {"parallel": True, "norm_placement": "sandwich", "norm": {"kind": "rms"}},
    "no biases": {"bias": False, "attention_bias": False},
    "plain embeddings": {"scaled_embeddings": False, "tied_output": False},
    "short decoder": {"decoder_layers": 1},
}


@pytest.fixture(scope="session", params=VARIANTS)
def uniform(request: pytest.FixtureRequest) -> UniformSpec:
    """Each variant of a model that is small enough to check in full."""
    return UniformSpec(**{"d_model": 16, "num_layers": 2, "num_heads": 4, "d_ff": 24, **VARIANTS[request.param]})
