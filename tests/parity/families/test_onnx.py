"""What ONNX Runtime makes of the file of a classifier of each family is that classifier, at any length."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from tests.parity.families.cases import CASES
from tests.parity.families.engines import check_logits, classifier, one_of_each
from tests.parity.families.harness import Case
from torch import Tensor

from heedful.inference.onnx import write_onnx


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_a_file_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    network, batches = classifier(case, tmp_path)
    sizes = {0: "texts", 1: "tokens"}
    write_onnx(network, {"ids": sizes, "mask": sizes}, "logits", batches[:2], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape) for one in session.get_inputs()] == [
        (name, ["texts", "tokens"]) for name in ("ids", "mask")
    ]

    def compute(ids: Tensor, mask: Tensor) -> Tensor:
        (logits,) = session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
        return torch.from_numpy(logits)

    check_logits(network, batches, compute)
