"""Where a network is not computed but written down, by a tracer, for another engine."""

from __future__ import annotations

import torch


def is_traced() -> bool:
    """Whether a tracer follows: shapes are then tensors, and what depends on them is to hold for others too."""
    return bool(torch.jit.is_tracing()) or torch.compiler.is_exporting()  # type: ignore[attr-defined, no-untyped-call]
