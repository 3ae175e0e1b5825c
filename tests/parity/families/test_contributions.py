"""A frozen network is the network, and what its parts add is what a decomposition layer by layer says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.parity.families.cases import CASES
from tests.parity.families.decomposition import decompose
from tests.parity.families.harness import Case, load, pad, texts
from torch import Tensor

from heedful.explanation.frozen import frozen
from heedful.model import Transformer

FORWARD = 2e-15
"""Largest difference seen is 1.0e-15 of the largest state."""
SUM = 1e-14
"""Largest seen: 5e-15."""
PARTS = 1e-13


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=str)


class Batch:
    """Texts of unequal length, padded, and what a model makes of them."""

    def __init__(self, case: Case, model: Transformer, vocabulary_size: int) -> None:
        self.model = model
        self.ids, self.mask = pad(texts(case, vocabulary_size))
        self.targets, self.target_mask = pad(texts(case, model.spec.written_size, (4, 1, 7), seed=2))

    @property
    def reads_twice(self) -> bool:
        return self.model.encoder is not None and self.model.decoder is not None

    def states(self) -> Tensor:
        """(B, T, D)."""
        if self.model.encoder is None:
            return self.model.decode(self.ids, mask=self.mask)
        memory = self.model.encode(self.ids, self.mask)
        return self.model.decode(self.targets, memory, self.mask, self.target_mask) if self.reads_twice else memory

    @property
    def real(self) -> Tensor:
        return self.target_mask if self.reads_twice else self.mask

    def last(self, states: Tensor) -> Tensor:
        """The state of each text's last token, (B, …, D)."""
        return torch.stack([row[..., int(real.sum()) - 1, :] for row, real in zip(states, self.real, strict=True)])


def largest(difference: Tensor, beside: Tensor) -> float:
    return float(difference.detach().abs().max() / beside.abs().max().clamp(min=1))


@each(list(CASES))
def test_a_frozen_network_gives_the_same_states_and_its_parts_are_the_decomposition(case: Case, tmp_path: Path) -> None:
    loaded = load(case, case.family.architecture, tmp_path)
    model = loaded.model
    batch = Batch(case, model, loaded.pretrained.spec.vocabulary_size)
    with torch.no_grad():
        expected = batch.states()
        parts = decompose(model, batch.ids, batch.mask, batch.targets, batch.target_mask)
    learning = [parameter.requires_grad for parameter in model.parameters()]
    with frozen(model, model) as trace:
        states = batch.states()
    assert [parameter.requires_grad for parameter in model.parameters()] == learning
    assert largest((states.detach() - expected)[batch.real], expected[batch.real]) <= FORWARD
    with torch.no_grad():
        assert torch.equal(batch.states(), expected)  # nothing is left behind

    direction = torch.randn(model.d_model, dtype=states.dtype, generator=torch.Generator().manual_seed(3))
    claims = batch.last(states) @ direction
    added, bias = trace.attribute(claims)
    tokens = torch.cat(added, 1)
    assert largest(tokens.sum(1) + bias - claims, claims) <= SUM
    by_layers = batch.last(parts) @ direction
    assert largest(torch.cat([tokens, bias[:, None]], 1) - by_layers, by_layers) <= PARTS
    if case.decodes:  # what comes later has no part at all
        for place in range(states.shape[1]):
            added, _ = trace.attribute(states[:, place].sum(-1))
            assert not added[-1][:, place + 1 :].any()


@each([case for case in CASES if case.language_model is not None])
def test_tokens_and_bias_sum_to_the_logit_and_to_its_difference_from_another(case: Case, tmp_path: Path) -> None:
    assert case.language_model is not None
    loaded = load(case, case.language_model, tmp_path)
    model = loaded.model
    batch = Batch(case, model, loaded.pretrained.spec.vocabulary_size)
    with torch.no_grad():
        expected = model.logits(batch.last(batch.states()))
    with frozen(model, model) as trace:
        logits = model.logits(batch.last(batch.states()))
    assert largest(logits.detach() - expected, expected) <= FORWARD
    for claims in (logits[:, 9], logits[:, 9] - logits[:, 12]):
        added, bias = trace.attribute(claims)
        assert largest(torch.cat(added, 1).sum(1) + bias - claims, logits) <= SUM
