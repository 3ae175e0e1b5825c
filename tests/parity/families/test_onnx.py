"""What ONNX Runtime makes of the file of a classifier of each family is that classifier, at any length."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from tests.parity.families.cases import CASES
from tests.parity.families.harness import Case, load, one_of_each, pad, texts

from heedful.inference.onnx import write_onnx
from heedful.model import ClassificationHead
from heedful.tasks.classification.network import ClassificationNetwork

LENGTHS = ((7, 4), (1,), (3, 9, 5), (8,))
"""Of the texts of each batch; the first is written down, and by the second both are compared at once."""
TOLERANCE = 1e-5
"""Of the largest logit."""


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_a_file_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    loaded = load(case, case.family.architecture, tmp_path)
    model = loaded.model.float()
    torch.manual_seed(0)
    network = ClassificationNetwork(model, ClassificationHead(model.d_model, 3), decoder_start=1).eval()
    batches = [pad(texts(case, loaded.pretrained.spec.vocabulary_size, lengths)) for lengths in LENGTHS]
    sizes = {0: "texts", 1: "tokens"}
    write_onnx(network, {"ids": sizes, "mask": sizes}, "logits", batches[:2], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape) for one in session.get_inputs()] == [
        (name, ["texts", "tokens"]) for name in ("ids", "mask")
    ]
    for ids, mask in batches:
        with torch.inference_mode():
            expected = network(ids, mask)
        (found,) = session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
        assert (torch.from_numpy(found) - expected).abs().max() <= TOLERANCE * expected.abs().max().clamp(min=1)
