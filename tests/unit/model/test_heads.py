"""The classification head pools real tokens only."""

from __future__ import annotations

import pytest
import torch

from heedful.model import Activation, ClassificationHeadSpec, NormKind, NormSpec, Pooling, build_head

HIDDEN = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0]]).bool()
POOLED = {
    Pooling.MEAN: [HIDDEN[0].mean(0), HIDDEN[1, :2].mean(0), HIDDEN[2, 2:].mean(0), HIDDEN[3, [1, 3]].mean(0)],
    Pooling.FIRST: [HIDDEN[0, 0], HIDDEN[1, 0], HIDDEN[2, 2], HIDDEN[3, 1]],
    Pooling.LAST: [HIDDEN[0, 4], HIDDEN[1, 1], HIDDEN[2, 4], HIDDEN[3, 3]],
}


@pytest.mark.parametrize("pooling", Pooling)
def test_pooling_sees_real_tokens_only(pooling: Pooling) -> None:
    head = build_head(ClassificationHeadSpec(num_labels=3, pooling=pooling), 8, seed=0).double().eval()
    expected = head.output(torch.stack(POOLED[pooling]))
    assert (head(HIDDEN, MASK) - expected).abs().max() < 1e-14
    assert (head(HIDDEN[:1]) - expected[:1]).abs().max() < 1e-14


@pytest.mark.parametrize("activation", Activation)
def test_a_dense_layer_may_stand_between(activation: Activation) -> None:
    spec = ClassificationHeadSpec(num_labels=3, pooling=Pooling.FIRST, dense=True, activation=activation)
    head = build_head(spec, 8, seed=0).double().eval()
    assert head.dense is not None
    assert head.activation is not None
    expected = head.output(head.activation(head.dense(HIDDEN[:, 0])))
    assert torch.equal(head(HIDDEN), expected)
    plain = build_head(spec.model_copy(update={"dense": False}), 8, seed=0).double().eval()
    assert torch.equal(plain(HIDDEN), plain.output(HIDDEN[:, 0]))


@pytest.mark.parametrize("kind", NormKind)
@pytest.mark.parametrize("bias", [False, True], ids=["without bias", "with bias"])
@pytest.mark.parametrize("dense_bias", [False, True], ids=["dense without bias", "dense with bias"])
def test_the_dense_layer_may_have_a_norm_and_either_layer_no_bias(dense_bias: bool, bias: bool, kind: NormKind) -> None:
    norm = NormSpec(kind=kind)
    spec = ClassificationHeadSpec(num_labels=3, dense=True, dense_bias=dense_bias, norm=norm, bias=bias)
    head = build_head(spec, 8, seed=0).double().eval()
    assert head.dense is not None and (head.dense.bias is not None) is dense_bias
    assert (head.output.bias is not None) is bias
    expected = head.output(head.norm(torch.tanh(head.dense(HIDDEN.mean(1)))))
    assert (head(HIDDEN) - expected).abs().max() < 1e-14


@pytest.mark.parametrize("pooling", Pooling)
def test_texts_without_tokens_and_empty_batches_give_finite_logits(pooling: Pooling) -> None:
    head = build_head(ClassificationHeadSpec(num_labels=3, pooling=pooling), 8, seed=0).double()
    hidden = HIDDEN.clone().requires_grad_()
    logits = head(hidden, torch.zeros_like(MASK))
    assert logits.isfinite().all()
    assert torch.autograd.grad(logits.sum(), hidden)[0].isfinite().all()
    assert head(HIDDEN[:0], MASK[:0]).shape == (0, 3)


def test_dropout_acts_in_training_only() -> None:
    head = build_head(ClassificationHeadSpec(num_labels=3, dropout=0.5), 8, seed=0).double()
    assert torch.equal(head.eval()(HIDDEN, MASK), head(HIDDEN, MASK))
    torch.manual_seed(0)
    assert not torch.equal(head.train()(HIDDEN, MASK), head(HIDDEN, MASK))
