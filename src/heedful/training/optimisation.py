"""The optimiser, and an average of the weights it finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from heedful.training.settings import TrainingSettings
from heedful.training.tuning import parameter_groups


def build_optimizer(module: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over the parameters that learn, see :func:`parameter_groups`."""
    return torch.optim.AdamW(parameter_groups(module, settings), betas=settings.betas, eps=settings.epsilon, fused=True)


class WeightAverage:
    """Exponential moving average of a module's parameters, bias-corrected (Kingma and Ba 2015, section 3).

    With decay 0 there is no average, and :meth:`applied` leaves the module as it is.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._average: list[Tensor] = [p.detach().clone() for p in self._parameters] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters after an optimiser step."""
        if not self.decay:
            return
        self.updates += 1
        # Of the random start, before any update, nothing may linger in the average: the first weight is 1.
        weight = (1 - self.decay) / (1 - self.decay**self.updates)
        torch._foreach_lerp_(self._average, [p.detach() for p in self._parameters], weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module holds the average inside the block, and its own parameters again after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self._parameters, self._average, strict=False):
            parameter.data, average.data = average.data, parameter.data
