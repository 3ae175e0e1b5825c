"""Integrated gradients are complete for the networks of every family, as far as a rule of 50 points can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.parity.families.cases import CASES
from tests.parity.families.harness import Case, load, texts

from heedful.explanation.integrated import along_path, integrated_gradients
from heedful.explanation.rows import Row
from heedful.model import ClassificationHeadSpec, build_head
from heedful.tasks import ClassifierCard, TextClassifier
from heedful.text import Encoding, LongInput, Tokenizer, TokenizerSettings

POINTS = {"mt5": 200, "gemma": 400, "gemma2": 400, "gemma3_text": 400}
"""Where the random network bends more on the way than 50 points can follow."""
KINKED = {"t5": 2e-2, "m2m_100": 2e-3}
"""ReLU has kinks, at which no rule is exact: bounds at 400 points, where the error has begun to fall."""
PLAIN = [case for case in CASES if case.name == "plain"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Of which nothing but the special tokens is asked for."""
    return Tokenizer.train(["some text"], TokenizerSettings(kind="wordpiece", vocabulary_size=60))


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_scores_and_the_baseline_sum_to_the_logit(case: Case, tokenizer: Tokenizer, tmp_path: Path) -> None:
    loaded = load(case, case.family.architecture, tmp_path)
    spec = ClassificationHeadSpec(num_labels=3, pooling="mean")
    head = build_head(spec, loaded.model.d_model, seed=1).double()
    card = ClassifierCard(labels=("a", "b", "c"), max_length=16, long_input=LongInput.ERROR, head=spec)
    classifier = TextClassifier(loaded.model, head, tokenizer, card)
    (ids,) = texts(case, loaded.pretrained.spec.vocabulary_size, (9,))
    row = Row(Encoding(ids[0].tolist(), [0] * 9, [(0, 1)] * 9, [None, *[0] * 7, None]), (), 1)
    points = 400 if case.model_type in KINKED else POINTS.get(case.model_type, 50)
    (gauss,) = integrated_gradients(classifier, [row], points=points)
    (left,) = along_path(classifier, [row], np.arange(points) / points, np.full(points, 1 / points), baseline="mask")
    claim = gauss.logits[1]
    errors = [abs(found.scores.sum() + (found.bias or 0.0) - claim) for found in (gauss, left)]
    assert errors[0] <= KINKED.get(case.model_type, 1e-4) * abs(claim - (gauss.bias or 0.0))
    assert errors[0] < errors[1] or case.model_type in KINKED
    assert gauss.scores[0] == gauss.scores[-1] == 0  # tokens of no text stay as they are
