"""What ONNX Runtime makes of the file of a classifier is that classifier, at any length.

To write one down takes ten seconds: here are four that differ in what they are made of, and all families in
`tests/acceptance`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.engines import check_file, of
from tests.parity.families.harness import Case


@pytest.mark.parametrize("case", of(CASES, "bert", "deberta-v2", "t5", "gemma3_text"), ids=str)
def test_a_file_gives_the_same_logits(case: Case, tmp_path: Path) -> None:
    check_file(case, tmp_path)
