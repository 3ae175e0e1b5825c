"""What Inductor makes of a network is that network, at lengths that its compiler has not seen too.

A network takes seconds to compile: here are a classifier and a writer, and all families in `tests/acceptance`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.engines import check_logits, check_writing, classifier, one_of_each
from tests.parity.families.harness import Case

from heedful.inference import Inductor, Plan


def of(*families: str) -> list[Case]:
    return [case for case in one_of_each(CASES) if case.model_type in families]


@pytest.mark.parametrize("case", of("bert"), ids=str)
def test_a_compiled_network_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    network, batches = classifier(case, tmp_path)
    compute = Inductor(network, batches[:2], fingerprint=None).network(Plan(1, 1))
    check_logits(network, batches, lambda ids, mask: compute(ids, mask, None))


@pytest.mark.parametrize("case", of("t5"), ids=str)
def test_a_compiled_step_writes_the_same(case: Case, tmp_path: Path) -> None:
    check_writing(case, Inductor, tmp_path)
