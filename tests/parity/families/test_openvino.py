"""What OpenVINO makes of a network of each family is that network, at lengths that its tracer has not seen too."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.engines import TOLERANCE, check_logits, classifier, one_of_each
from tests.parity.families.harness import Case, load, texts

from heedful.generation import CompiledWriter, Request, parse_settings, write_all
from heedful.inference import OpenVino, Plan
from heedful.model import Transformer


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_a_compiled_network_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    network, batches = classifier(case, tmp_path)
    compute = OpenVino(network, batches[:2], fingerprint=None).network(Plan(1, 1))
    check_logits(network, batches, lambda ids, mask: compute(ids, mask, None))


def requests(case: Case, model: Transformer, num_beams: int) -> list[Request[int]]:
    """Texts of several lengths to be written on."""
    options = {"decoder_start_token_id": case.reserved, "num_beams": num_beams, "max_new_tokens": 7}
    rows = texts(case, model.spec.written_size, (7, 1, 4, 9))
    ids = [tuple(row[0].tolist()) for row in rows]
    both = model.encoder is not None
    return [
        Request(number, row if both else (), (case.reserved,) if both else row, parse_settings(options))
        for number, row in enumerate(ids)
    ]


@pytest.mark.parametrize("case", one_of_each([case for case in CASES if case.decodes and case.language_model]), ids=str)
def test_a_compiled_step_writes_the_same(case: Case, tmp_path: Path) -> None:
    assert case.language_model is not None
    model = load(case, case.language_model, tmp_path).model.float()
    compiled = CompiledWriter(model, partial(OpenVino, fingerprint=None))
    for num_beams in (1, 3):
        asked = requests(case, model, num_beams)
        expected = dict(write_all(model, asked, num_slots=3))
        written = dict(write_all(model, asked, num_slots=3, compiled=compiled))
        for key, hypotheses in expected.items():
            assert [one.tokens for one in written[key]] == [one.tokens for one in hypotheses]
            scores = [one.score for one in hypotheses]
            assert [one.score for one in written[key]] == pytest.approx(scores, abs=TOLERANCE)
