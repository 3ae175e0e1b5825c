"""What the tests of all engines share: models of each family, and the same numbers and texts whatever computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnxruntime
import pytest
import torch
from tests.parity.families.harness import Case, load, pad, texts
from torch import Tensor

from heedful.generation import CompiledWriter, Request, parse_settings, write_all
from heedful.inference import CompiledNetwork, Plan
from heedful.inference.onnx import write_onnx
from heedful.model import ClassificationHead, Transformer
from heedful.tasks.classification.network import ClassificationNetwork

LENGTHS = ((7, 4), (1,), (3, 9, 5), (8,))
"""Of the texts of each batch; an engine is given the first two, one to follow and one to compare by."""
TOLERANCE = 1e-5
"""Of the largest logit."""
Batches = list[tuple[Tensor, Tensor]]


def one_of_each(cases: Sequence[Case]) -> list[Case]:
    """The first case of each family; compiling takes more than a second."""
    return list({case.model_type: case for case in reversed(cases)}.values())[::-1]


def of(cases: Sequence[Case], *families: str) -> list[Case]:
    """The first case of these families, where to compile each one takes too long for every day."""
    return [case for case in one_of_each(cases) if case.model_type in families]


def writers(cases: Sequence[Case]) -> list[Case]:
    """Those that write, one of each family."""
    return one_of_each([case for case in cases if case.decodes and case.language_model])


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


def check_reading(case: Case, engine: type[CompiledNetwork], folder: Path) -> None:
    """Assert that what an engine makes of a classifier gives the classifier's logits, at other lengths too."""
    network, batches = classifier(case, folder)
    compute = engine(network, batches[:2], fingerprint=None).network(Plan(1, 1))
    check_logits(network, batches, lambda ids, mask: compute(ids, mask, None))


def check_file(case: Case, folder: Path) -> None:
    """Assert that ONNX Runtime gives a classifier's logits by what is written of it, at other lengths too."""
    network, batches = classifier(case, folder)
    sizes = {0: "texts", 1: "tokens"}
    write_onnx(network, {"ids": sizes, "mask": sizes}, "logits", batches[:2], folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape) for one in session.get_inputs()] == [
        (name, ["texts", "tokens"]) for name in ("ids", "mask")
    ]

    def compute(ids: Tensor, mask: Tensor) -> Tensor:
        (logits,) = session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
        return torch.from_numpy(logits)

    check_logits(network, batches, compute)


def _requests(case: Case, model: Transformer, num_beams: int) -> list[Request[int]]:
    """Texts of several lengths to be written on."""
    options = {"decoder_start_token_id": case.reserved, "num_beams": num_beams, "max_new_tokens": 7}
    rows = texts(case, model.spec.written_size, (7, 1, 4, 9))
    ids = [tuple(row[0].tolist()) for row in rows]
    both = model.encoder is not None
    return [
        Request(number, row if both else (), (case.reserved,) if both else row, parse_settings(options))
        for number, row in enumerate(ids)
    ]


def check_writing(case: Case, engine: type[CompiledNetwork], folder: Path) -> None:
    """Assert that a model writes what it writes by itself, and as probable, when an engine reads for it."""
    assert case.language_model is not None
    model = load(case, case.language_model, folder).model.float()
    compiled = CompiledWriter(model, partial(engine, fingerprint=None))
    for num_beams in (1, 3):
        asked = _requests(case, model, num_beams)
        expected = dict(write_all(model, asked, num_slots=3))
        written = dict(write_all(model, asked, num_slots=3, compiled=compiled))
        for key, hypotheses in expected.items():
            assert [one.tokens for one in written[key]] == [one.tokens for one in hypotheses]
            scores = [one.score for one in hypotheses]
            assert [one.score for one in written[key]] == pytest.approx(scores, abs=TOLERANCE)
