"""What OpenVINO makes of a network of each family is that network, at lengths that its tracer has not seen too."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.engines import check_reading, check_writing, one_of_each, writers
from tests.parity.families.harness import Case

from heedful.inference import OpenVino


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_a_compiled_network_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    check_reading(case, OpenVino, tmp_path)


@pytest.mark.parametrize("case", writers(CASES), ids=str)
def test_a_compiled_step_writes_the_same(case: Case, tmp_path: Path) -> None:
    check_writing(case, OpenVino, tmp_path)
