"""What OpenVINO makes of a network of each family is that network, at lengths that its tracer has not seen too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tests.parity.families.cases import CASES
from tests.parity.families.harness import Case, load, pad, texts

from heedful.inference import OpenVino, Plan
from heedful.model import ClassificationHead
from heedful.tasks.classification.network import ClassificationNetwork

LENGTHS = ((7, 4), (1,), (3, 9, 5), (8,))
"""Of the texts of each batch; the first batch is traced."""
TOLERANCE = 1e-5
"""Of the largest logit."""


def one_of_each(cases: Sequence[Case]) -> list[Case]:
    """The first case of each family; compiling takes more than a second."""
    return list({case.model_type: case for case in reversed(cases)}.values())[::-1]


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_a_compiled_network_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    loaded = load(case, case.family.architecture, tmp_path)
    model = loaded.model.float()
    torch.manual_seed(0)
    network = ClassificationNetwork(model, ClassificationHead(model.d_model, 3)).eval()
    batches = [pad(texts(case, loaded.pretrained.spec.vocabulary_size, lengths)) for lengths in LENGTHS]
    compute = OpenVino(network, batches[:2], fingerprint=None).network(Plan(1, 1))
    for ids, mask in batches:
        with torch.inference_mode():
            expected = network(ids, mask)
        apart = (compute(ids, mask, None) - expected).abs().max()
        assert apart <= TOLERANCE * expected.abs().max().clamp(min=1)
