"""What Inductor makes of a network is that network, at lengths that its compiler has not seen too.

To compile one takes half a minute: here is a writer, a classifier is in `tests/end_to_end/test_bench.py`, and all
families are in `tests/acceptance`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.engines import check_writing, of
from tests.parity.families.harness import Case

from heedful.inference import Inductor


@pytest.mark.parametrize("case", of(CASES, "gpt2"), ids=str)
def test_a_compiled_step_writes_the_same(case: Case, tmp_path: Path) -> None:
    check_writing(case, Inductor, tmp_path)
