"""What Inductor and ONNX Runtime make of a network of each family is that network.

Half an hour of compiling, run by `make acceptance`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.engines import check_file, check_reading, check_writing, one_of_each, writers
from tests.parity.families.harness import Case

from heedful.inference import Inductor

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not os.environ.get("HEEDFUL_ACCEPTANCE_DATA"), reason="minutes of compiling: make acceptance"),
]


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_inductor_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    check_reading(case, Inductor, tmp_path)


@pytest.mark.parametrize("case", writers(CASES), ids=str)
def test_inductor_writes_the_same(case: Case, tmp_path: Path) -> None:
    check_writing(case, Inductor, tmp_path)


@pytest.mark.parametrize("case", one_of_each(CASES), ids=str)
def test_onnx_runtime_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    check_file(case, tmp_path)
