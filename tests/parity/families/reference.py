"""References of `transformers`, tiny and random, built in process and run in float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._inductor.cpu_vec_isa  # upstream imports it below, and it would keep the names as they are there
import transformers
from torch import Tensor, nn


@contextmanager
def in_float64() -> Iterator[None]:
    """Upstream computes angles, some norms and softmax in float32 whatever the model's dtype: here, in float64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "float", torch.float64)
        patch.setattr(torch, "float32", torch.float64)
        patch.setattr(torch, "FloatTensor", torch.DoubleTensor)
        patch.setattr(Tensor, "float", Tensor.double)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def make(architecture: str, config: transformers.PretrainedConfig, *, seed: int = 0) -> nn.Module:
    """A reference in float64 whose every parameter and stored buffer is random, so that nothing cancels by chance.

    Frozen parameters, such as tables of sines, stay.
    """
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    with in_float64():
        model: nn.Module = getattr(transformers, architecture)(config).double().eval()
    stored = set(model.state_dict())
    learned = ((name, tensor) for name, tensor in model.named_parameters() if tensor.requires_grad)
    for name, tensor in (*learned, *model.named_buffers()):
        if name in stored and tensor.is_floating_point():
            nn.init.normal_(tensor.data, std=0.3 if tensor.dim() > 1 else 0.5)
    return model


def save(model: Any, folder: Path) -> Path:
    """As upstream saves it."""
    model.save_pretrained(folder)
    return folder


@torch.no_grad()
def run(model: nn.Module, **inputs: Any) -> Any:
    """What a reference answers."""
    with in_float64():
        return model(**inputs)
