"""The optimiser, and averages of the weights it finds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from heedful.training.settings import TrainingSettings
from heedful.training.tuning import parameter_groups


class MuonAndAdamW:
    """Muon (Jordan et al. 2024) for the matrices of layers, AdamW for all other parameters.

    A step of Muon is the orthogonal matrix that is nearest to the averaged gradient, found by five rounds of Newton
    and Schulz, times 0.2 · √(the larger of rows and columns): as large as a step of AdamW in the mean square, so that
    one rate fits both (Liu et al. 2025, section 2.2).
    """

    def __init__(self, muon: torch.optim.Muon, adamw: torch.optim.AdamW) -> None:
        self.muon = muon
        self.adamw = adamw

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of both."""
        return [*self.muon.param_groups, *self.adamw.param_groups]

    def step(self) -> None:
        """Update all parameters."""
        self.muon.step()  # type: ignore[no-untyped-call]
        self.adamw.step()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.muon.zero_grad()
        self.adamw.zero_grad()


Optimizer: TypeAlias = torch.optim.Optimizer | MuonAndAdamW


def build_optimizer(module: nn.Module, settings: TrainingSettings) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019) over the parameters that learn, or Muon, see :func:`parameter_groups`."""
    groups = parameter_groups(module, settings)
    orthogonal = [group for group in groups if group["orthogonal"]]
    others = [group for group in groups if not group["orthogonal"]]
    adamw = torch.optim.AdamW(others, betas=settings.betas, eps=settings.epsilon, fused=True)
    return MuonAndAdamW(torch.optim.Muon(orthogonal, adjust_lr_fn="match_rms_adamw"), adamw) if orthogonal else adamw


def build_average(module: nn.Module, settings: TrainingSettings) -> WeightAverage:
    """The average that the settings name; without one, the module is kept as it is."""
    if settings.average_last is not None:
        return CheckpointAverage(module, settings.average_last)
    return MovingAverage(module, settings.weight_average) if settings.weight_average else WeightAverage(module)


class WeightAverage:
    """What stands in for a module's parameters where it is judged and kept; this one is the parameters themselves."""

    def __init__(self, module: nn.Module) -> None:
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def update(self) -> None:
        """Take in the parameters after an optimiser step."""

    def checkpoint(self) -> None:
        """Take in the parameters where they are judged."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module holds the average inside the block, and its own parameters again after it."""
        own, average = [parameter.data for parameter in self._parameters], self._average()
        self._hold(own if average is None else average)
        try:
            yield
        finally:
            self._hold(own)

    def _average(self) -> list[Tensor] | None:
        """By parameter; None where there is none yet."""
        return None

    def _hold(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.data = value


class MovingAverage(WeightAverage):
    """Exponential moving average over the steps, bias-corrected (Kingma and Ba 2015, section 3)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__(module)
        self._decay = decay
        self._updates = 0
        self._moving = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        self._updates += 1
        # Of the random start, before any update, nothing may linger in the average: the first weight is 1.
        weight = (1 - self._decay) / (1 - self._decay**self._updates)
        torch._foreach_lerp_(self._moving, [parameter.detach() for parameter in self._parameters], weight)

    def _average(self) -> list[Tensor] | None:
        return self._moving if self._updates else None


class CheckpointAverage(WeightAverage):
    """The mean of the last checkpoints (Vaswani et al. 2017, section 6.1); all of them are held in memory."""

    def __init__(self, module: nn.Module, count: int) -> None:
        super().__init__(module)
        self._kept: deque[list[Tensor]] = deque(maxlen=count)

    def checkpoint(self) -> None:
        self._kept.append([parameter.detach().clone() for parameter in self._parameters])

    def _average(self) -> list[Tensor] | None:
        if not self._kept:
            return None
        return [torch.stack(values).mean(dim=0) for values in zip(*self._kept, strict=True)]
