"""Rotary positions as configs state them: ``rope_parameters``, or ``rope_theta`` and ``rope_scaling`` before it."""

from __future__ import annotations

import math

from heedful.families.config import ConfigReader
from heedful.model import LinearScalingSpec, Llama3ScalingSpec, RotarySpec, YarnScalingSpec

SCALINGS = {kind: kind for kind in ("default", "linear", "dynamic", "yarn", "llama3")}


def read_rotary(config: ConfigReader, *, base: float, head_dim: int, layer_type: str | None = None) -> RotarySpec:
    """The rotary positions that a config states.

    Args:
        base: θ where the config gives none.
        head_dim: K.
        layer_type: of the layers these are for, where the config states them for each type.
    """
    theta = config.number("rope_theta", base, low=1.001)
    fraction = config.number("partial_rotary_factor", config.data.get("rotary_pct", 1.0), low=0.0, high=1.0)
    parameters = config.section("rope_parameters") or config.section("rope_scaling")
    if parameters is not None and layer_type is not None and layer_type in parameters.data:
        parameters = parameters.section(layer_type)
    longest = config.integer("max_position_embeddings", 2048)
    if parameters is None:
        return _rotary(theta, fraction, head_dim, max_positions=longest)
    theta = parameters.number("rope_theta", theta, low=1.001)
    fraction = parameters.number("partial_rotary_factor", fraction, low=0.0, high=1.0)
    kind = parameters.choice("rope_type", SCALINGS, parameters.data.get("type", "default"))
    scaling: LinearScalingSpec | YarnScalingSpec | Llama3ScalingSpec | None = None
    original = 0
    if kind in ("yarn", "llama3"):
        original = parameters.integer(
            "original_max_position_embeddings", config.data.get("original_max_position_embeddings", longest)
        )
    if kind == "linear":
        scaling = LinearScalingSpec(factor=parameters.number("factor", low=1.0, high=1e6))
    elif kind == "yarn":
        scaling = _yarn(parameters, original, longest)
        longest = max(longest, int(original * scaling.factor))
    elif kind == "llama3":
        scaling = Llama3ScalingSpec(
            factor=parameters.number("factor", low=1.0, high=1e6),
            low_frequency_factor=parameters.number("low_freq_factor", low=1e-6, high=1e6),
            high_frequency_factor=parameters.number("high_freq_factor", low=1e-6, high=1e6),
            original_max_positions=original,
        )
    elif kind == "dynamic":
        # It changes nothing up to max_position_embeddings. Beyond them it would make the answer for a text depend
        # on the longest one beside it, so longer texts are refused, and the factor is read for form's sake.
        parameters.number("factor", low=1.0, high=1e6)
    return _rotary(theta, fraction, head_dim, max_positions=longest, scaling=scaling)


def _rotary(
    theta: float,
    fraction: float,
    head_dim: int,
    *,
    max_positions: int,
    scaling: LinearScalingSpec | YarnScalingSpec | Llama3ScalingSpec | None = None,
) -> RotarySpec:
    width = int(head_dim * fraction)
    return RotarySpec(
        base=theta, width=None if width == head_dim else width, scaling=scaling, max_positions=max_positions
    )


def _yarn(parameters: ConfigReader, original: int, longest: int) -> YarnScalingSpec:
    """Peng et al. 2023; ``mscale`` and ``mscale_all_dim`` as DeepSeek added them."""
    factor = parameters.optional_number("factor", low=1.0) or max(longest / original, 1.0)
    magnitude = parameters.optional_number("attention_factor")
    over, under = parameters.optional_number("mscale"), parameters.optional_number("mscale_all_dim")
    if magnitude is None and over and under and factor > 1:
        growth = 0.1 * math.log(factor)
        magnitude = (over * growth + 1) / (under * growth + 1)
    return YarnScalingSpec(
        factor=factor,
        original_max_positions=original,
        beta_fast=parameters.optional_number("beta_fast") or 32.0,
        beta_slow=parameters.optional_number("beta_slow") or 1.0,
        magnitude=magnitude,
        truncate=parameters.flag("truncate", True),
    )
