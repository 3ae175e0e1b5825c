"""What the tests of all engines share: a classifier of each family, and the same logits from whatever computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tests.parity.families.harness import Case, load, pad, texts
from torch import Tensor

from heedful.model import ClassificationHead
from heedful.tasks.classification.network import ClassificationNetwork

LENGTHS = ((7, 4), (1,), (3, 9, 5), (8,))
"""Of the texts of each batch; an engine is given the first two, one to follow and one to compare by."""
TOLERANCE = 1e-5
"""Of the largest logit."""
Batches = list[tuple[Tensor, Tensor]]


def one_of_each(cases: Sequence[Case]) -> list[Case]:
    """The first case of each family; compiling takes more than a second."""
    return list({case.model_type: case for case in reversed(cases)}.values())[::-1]


def classifier(case: Case, folder: Path) -> tuple[ClassificationNetwork, Batches]:
    """A network in float32 that reads texts, and ids and masks (B, S) of some."""
    loaded = load(case, case.family.architecture, folder)
    model = loaded.model.float()
    torch.manual_seed(0)
    network = ClassificationNetwork(model, ClassificationHead(model.d_model, 3), decoder_start=1).eval()
    return network, [pad(texts(case, loaded.pretrained.spec.vocabulary_size, lengths)) for lengths in LENGTHS]


def check_logits(network: ClassificationNetwork, batches: Batches, compute: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Assert that ``compute`` gives what the network gives."""
    for ids, mask in batches:
        with torch.inference_mode():
            expected = network(ids, mask)
        assert (compute(ids, mask) - expected).abs().max() <= TOLERANCE * expected.abs().max().clamp(min=1)
