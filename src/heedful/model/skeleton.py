"""Modules that have shapes and no values, to be compared with a checkpoint before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_RANDOM = frozenset({nn.init.normal_, nn.init.uniform_, torch.Tensor.normal_, torch.Tensor.uniform_})


class _NoRandomValues(TorchFunctionMode):
    """Leave tensors without random values: to draw none on ``meta``, PyTorch would import its compiler for a second."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def skeleton() -> Iterator[None]:
    """What is built inside is on the device ``meta``: shapes and names, no values, no memory."""
    with torch.device("meta"), _NoRandomValues():
        yield
