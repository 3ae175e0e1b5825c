"""Finished answers read once more: attention and probabilities are the very numbers of upstream's eager attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.parity.families.reference import make, run
from tests.parity.generation.test_generate import MODELS

from heedful.families import load_model
from heedful.tasks.text_to_text.trust import Finished
from heedful.tasks.text_to_text.trust.attention import read_answers

TOLERANCE = 1e-13  # of log-probabilities; measured: 9e-16
WEIGHTS_TOLERANCE = 2e-7  # weights are kept as float32; measured: 3e-8
SOURCES = [(5, 6, 7, 8, 9, 1), (11, 12, 1), (20, 21, 22, 23, 1)]
ANSWERS = [(30, 31, 32, 1), (4, 7, 4, 9, 10, 11, 1), (3,)]


@pytest.mark.parametrize("name", MODELS)
def test_attention_and_probabilities_are_those_of_upstream(name: str, tmp_path: Path) -> None:
    architecture, config = MODELS[name]
    reference = make(architecture, config(), seed=1)
    reference.save_pretrained(tmp_path)  # type: ignore[operator]
    model = load_model(tmp_path).eval()
    has_encoder = model.encoder is not None
    answers = [
        Finished(source, (2,), tokens) if has_encoder else Finished((), source, tokens)
        for source, tokens in zip(SOURCES, ANSWERS, strict=True)
    ]
    for number, reading in read_answers(model, answers):
        answer = answers[number]
        read = torch.tensor([[*answer.prompt, *answer.tokens[:-1]]])
        inputs = {"input_ids": torch.tensor([answer.source]), "decoder_input_ids": read} if has_encoder else {}
        output = run(reference, **(inputs or {"input_ids": read}), output_attentions=True)
        logits = output.logits[0, len(answer.prompt) - 1 :].log_softmax(-1)
        expected = logits.gather(-1, torch.tensor(answer.tokens)[:, None])[:, 0]
        np.testing.assert_allclose(reading.log_probabilities, expected, rtol=0, atol=TOLERANCE)
        layers = output.cross_attentions if has_encoder else output.attentions
        assert len(reading.attention) == len(layers) == 2
        for weights, layer in zip(reading.attention, layers, strict=True):
            wanted = layer[0, :, len(answer.prompt) - 1 :, : len(answer.read)]
            np.testing.assert_allclose(weights, wanted, rtol=0, atol=WEIGHTS_TOLERANCE)
