"""Models to start from, by name."""

from __future__ import annotations

from heedful.model.spec import Activation, NormPlacement
from heedful.model.uniform import UniformSpec

_PAPER = UniformSpec(
    d_model=512,
    num_layers=6,
    num_heads=8,
    d_ff=2048,
    attention_bias=False,
    norm_placement=NormPlacement.POST,
    dropout=0.1,
)

PRESETS: dict[str, UniformSpec] = {
    "tiny": UniformSpec(d_model=192, num_layers=2, num_heads=4, d_ff=768, activation=Activation.GELU),
    "small": UniformSpec(d_model=256, num_layers=4, num_heads=4, d_ff=1024, activation=Activation.GELU),
    "base": _PAPER,
    "big": _PAPER.model_copy(update={"d_model": 1024, "num_heads": 16, "d_ff": 4096, "dropout": 0.3}),
}
"""``tiny`` and ``small`` train on two processor cores; ``base`` and ``big`` are Vaswani et al. 2017, Table 3."""
