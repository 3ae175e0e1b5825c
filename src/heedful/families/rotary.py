"""Rotary positions as configs state them: ``rope_parameters``, or ``rope_theta`` and ``rope_scaling`` before it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from heedful.families.config import ConfigReader
from heedful.model import LinearScalingSpec, Llama3ScalingSpec, RotaryScalings, RotarySpec, YarnScalingSpec

_BY_LENGTH = "its frequencies depend on the longest text of a batch, so that one text would change another's answer"
REFUSED_SCALINGS = {"longrope": _BY_LENGTH, "su": _BY_LENGTH}
"""Ways of scaling that heedful will not have, and why; ``su`` is an earlier name of ``longrope``."""
SCALINGS = {kind: kind for kind in ("default", "linear", "dynamic", "yarn", "llama3", *REFUSED_SCALINGS)}
REFUSED_OPTIONS = ("rope_scaling: longrope", "rope_scaling: dynamic beyond max_position_embeddings")
"""For the table of families."""


@dataclass(frozen=True)
class RotaryKeys:
    """What a family's configs called things before ``rope_parameters``."""

    theta: str = "rope_theta"
    fraction: str | None = None
    """The share of a head that is turned; None where the family turns whole heads."""
    scaling: str | None = "rope_scaling"


def read_rotary(
    config: ConfigReader,
    *,
    head_dim: int,
    max_positions: int = 2048,
    base: float = 10_000.0,
    fraction: float = 1.0,
    keys: RotaryKeys = RotaryKeys(),
    layer_type: str | None = None,
) -> RotarySpec:
    """The rotary positions that a config states.

    Args:
        head_dim: K.
        max_positions: ``max_position_embeddings`` where the config gives none.
        base: θ where the config gives none.
        fraction: share of a head that is turned where the config gives none.
        layer_type: of the layers these are for, where ``rope_parameters`` has a section for each type.
    """
    longest = config.integer("max_position_embeddings", max_positions)
    theta = config.number(keys.theta, base, low=1.001)
    fraction = _fraction(config, keys.fraction, fraction)
    parameters = _parameters(config, keys, layer_type)
    scaling: RotaryScalings | None = None
    if parameters is not None:
        theta = parameters.number("rope_theta", theta, low=1.001)
        fraction = _fraction(parameters, keys.fraction and "partial_rotary_factor", fraction)
        scaling, longest = _scaling(parameters, longest)
    width = int(head_dim * fraction)
    if width < 2 or width % 2:
        config.faults.append(f"{width} columns of a head of {head_dim} would turn, and must be an even number above 0")
        width = head_dim
    return RotarySpec(base=theta, width=None if width == head_dim else width, scaling=scaling, max_positions=longest)


def _fraction(config: ConfigReader, key: str | None, default: float) -> float:
    if key is not None:
        return config.number(key, default, low=0.0, high=1.0)
    config.require("partial_rotary_factor", 1.0, reason="this family turns whole heads")
    return default


def _parameters(config: ConfigReader, keys: RotaryKeys, layer_type: str | None) -> ConfigReader | None:
    """Where a config has both spellings, one of them stays unread, which is told in the end."""
    now = config.section("rope_parameters")
    if now is not None and layer_type is not None:
        now = now.section(layer_type)
    before = None if keys.scaling is None else config.section(keys.scaling)
    return next((section for section in (before, now) if section is not None and section.data), None)


def _scaling(parameters: ConfigReader, longest: int) -> tuple[RotaryScalings | None, int]:
    """The scaling, and the longest text with it."""
    kind = parameters.choice("rope_type", SCALINGS, parameters.choice("type", SCALINGS, "default"))
    if kind in REFUSED_SCALINGS:
        parameters.faults.append(f"the positions' rope_type is {kind!r}: {REFUSED_SCALINGS[kind]}")
        parameters.read |= dict.fromkeys(parameters.data)  # what else there is belongs to it
        return None, longest
    if kind == "default":
        return None, longest
    if kind == "yarn":
        yarn = _yarn(parameters, longest)
        return yarn, max(longest, int(yarn.original_max_positions * yarn.factor))
    factor = parameters.number("factor", low=1.0, high=1e6)
    if kind == "linear":
        # Some configs count the longest text before the stretch, some after it.
        return LinearScalingSpec(factor=factor), int(longest * factor)
    if kind == "llama3":
        return _llama3(parameters, factor, longest), longest
    # Dynamic scaling changes nothing up to max_position_embeddings. Beyond them the answer for a text would depend on
    # the longest one beside it, so longer texts are refused.
    return None, longest


def _yarn(parameters: ConfigReader, longest: int) -> YarnScalingSpec:
    """Peng et al. 2023; ``mscale`` and ``mscale_all_dim`` as DeepSeek added them."""
    original = parameters.integer("original_max_position_embeddings", longest)
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


def _llama3(parameters: ConfigReader, factor: float, longest: int) -> Llama3ScalingSpec:
    return Llama3ScalingSpec(
        factor=factor,
        low_frequency_factor=parameters.number("low_freq_factor", low=1e-6, high=1e6),
        high_frequency_factor=parameters.number("high_freq_factor", low=1e-6, high=1e6),
        original_max_positions=parameters.integer("original_max_position_embeddings", longest),
    )
