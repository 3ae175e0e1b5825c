"""What Inductor makes of a network is that network, at lengths that its compiler has not seen too.

A network takes seconds to compile: here are a classifier and a writer, and all families in `tests/acceptance`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.engines import check_reading, check_writing, one_of_each
from tests.parity.families.harness import Case

from heedful.inference import Inductor


def of(*families: str) -> list[Case]:
    return [case for case in one_of_each(CASES) if case.model_type in families]


@pytest.mark.parametrize("case", of("bert"), ids=str)
def test_a_compiled_network_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    check_reading(case, Inductor, tmp_path)


@pytest.mark.parametrize("case", of("t5"), ids=str)
def test_a_compiled_step_writes_the_same(case: Case, tmp_path: Path) -> None:
    check_writing(case, Inductor, tmp_path)
