"""Finished answers read once more: exact probabilities, exact attention, and a model that does not notice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.generation import GenerationSettings, generate
from heedful.model import Transformer, UniformSpec, build
from heedful.nn import AttentionKernel, AttentionMask, SoftCappedKernel
from heedful.tasks.text_to_text.trust import Finished, attention
from heedful.tasks.text_to_text.trust.attention import Reading, read_answers, watched_attention

TOLERANCE = 1e-13  # float64, relative; measured: 2e-15
WEIGHTS_TOLERANCE = 2e-7  # weights are kept as float32; measured: 3e-8
UNIFORM = {"d_model": 16, "num_layers": 3, "num_heads": 4, "d_ff": 24, "dropout": 0.1}
START, END, SIZE = 1, 2, 30


def made(kind: str = "encoder_decoder", **changes: Any) -> Transformer:
    uniform = UniformSpec.model_validate({**UNIFORM, **changes})
    return build(getattr(uniform, kind)(SIZE), seed=3).double().eval()


MODELS = {
    "encoder_decoder": made(),
    "grouped": made(num_kv_heads=2),
    "copying": made(pointer={"head_dim": 4}),
    "decoder": made("decoder"),
}


def cross_attentions(model: Transformer) -> list[Any]:
    assert model.decoder is not None
    return [layer.cross_attention for layer in model.decoder.layers]


def written(model: Transformer, *, num_beams: int = 1) -> list[tuple[Finished, tuple[float, ...]]]:
    """Answers of several lengths, with the log-probabilities that were told when they were written."""
    chance = torch.Generator().manual_seed(0)
    rows = [torch.randint(3, SIZE, (1, length), generator=chance) for length in (4, 9, 1, 6, 2)]
    answers = []
    for length, row in enumerate(rows, 2):
        chosen = GenerationSettings(
            num_beams=num_beams, max_new_tokens=length, eos_token_id=(END,), decoder_start_token_id=START
        )
        (best,) = generate(model, row, settings=chosen)[0]
        read = tuple(row[0].tolist())
        source, prompt = ((), read) if model.encoder is None else (read, (START,))
        answers.append((Finished(source, prompt, best.tokens), best.log_probabilities))
    return answers


def readings_of(
    model: Transformer, answers: Sequence[Finished], *, layers: Collection[int] | None = None
) -> list[Reading]:
    """In the order of the answers."""
    readings = dict(read_answers(model, answers, layers=layers))
    return [readings[number] for number in range(len(answers))]


@cache
def answers_of(name: str) -> list[Finished]:
    """The answers of one of the models, written once."""
    return [answer for answer, _ in written(MODELS[name])]


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_that_the_search_saw(name: str, num_beams: int) -> None:
    answers = written(MODELS[name], num_beams=num_beams)
    readings = readings_of(MODELS[name], [answer for answer, _ in answers])
    for (_, seen), reading in zip(answers, readings, strict=True):
        assert reading.log_probabilities == pytest.approx(seen, rel=TOLERANCE)


@given(order=st.permutations(range(5)), count=st.integers(1, 5), cells=st.sampled_from([1, 30, 2048]))
@settings(max_examples=20, deadline=None)
def test_a_reading_does_not_depend_on_the_answers_beside_it(order: list[int], count: int, cells: int) -> None:
    model, answers = MODELS["encoder_decoder"], answers_of("encoder_decoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "MAX_CELLS", cells)
        readings = readings_of(model, [answers[number] for number in order[:count]])
    for number, reading in zip(order, readings, strict=False):
        (alone,) = readings_of(model, [answers[number]])
        assert reading.log_probabilities == pytest.approx(alone.log_probabilities, rel=TOLERANCE)
        for layer, expected in zip(reading.attention, alone.attention, strict=True):
            np.testing.assert_allclose(layer, expected, atol=WEIGHTS_TOLERANCE)


def test_logits_are_held_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model, answers = MODELS["copying"], answers_of("copying")
    whole = readings_of(model, answers)
    monkeypatch.setattr(attention, "MAX_LOGITS", 3 * SIZE)
    for reading, expected in zip(readings_of(model, answers), whole, strict=True):
        assert reading.log_probabilities == pytest.approx(expected.log_probabilities, rel=TOLERANCE)


@pytest.mark.parametrize("name", ["encoder_decoder", "grouped"])
def test_weights_are_those_of_the_formula(name: str) -> None:
    """softmax(Q Kᵀ / √K), each layer's from the states that enter it (Vaswani et al. 2017, equation 1)."""
    model, (answer, *_) = MODELS[name], answers_of(name)
    entering: list[torch.Tensor] = []
    hooks = [
        looks.register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0]))
        for looks in cross_attentions(model)
    ]
    memory = model.encode(torch.tensor([answer.source]))
    model.decode(torch.tensor([[*answer.prompt, *answer.tokens[:-1]]]), memory)
    for hook in hooks:
        hook.remove()
    (reading,) = readings_of(model, [answer])
    assert len(reading.attention) == 3
    for looks, states, weights in zip(cross_attentions(model), entering, reading.attention, strict=True):
        query = looks.query(states)[0].view(-1, 4, looks.head_dim)
        key = looks.key(memory)[0].view(len(answer.source), -1, looks.head_dim)
        assert weights.shape == (4, len(answer.tokens), len(answer.source))
        for head in range(4):
            of_keys = key[:, head * key.shape[1] // 4]
            expected = (query[:, head] @ of_keys.T / looks.head_dim**0.5).softmax(-1)
            np.testing.assert_allclose(weights[head], expected.detach(), atol=WEIGHTS_TOLERANCE)


@pytest.mark.parametrize("kernel", [AttentionKernel(scale=0.3), SoftCappedKernel(soft_cap=2.0)])
def test_whatever_the_kernel_its_weights_mix_what_it_mixes(kernel: AttentionKernel) -> None:
    model = made()
    cross_attentions(model)[1].kernel = kernel
    seen: dict[str, torch.Tensor] = {}

    def keep(_: object, inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor, AttentionMask], mixed: object) -> None:
        assert isinstance(mixed, torch.Tensor)
        seen.update(values=inputs[2], mixed=mixed)

    kernel.register_forward_hook(keep)
    memory = model.encode(
        torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]]), real := torch.tensor([[1] * 4, [1, 1, 0, 0]]) > 0
    )
    with watched_attention(model, {1}) as weights:
        model.decode(torch.tensor([[1, 4, 4], [1, 5, 6]]), memory, real)
    assert torch.allclose(weights[0] @ seen["values"], seen["mixed"], atol=TOLERANCE)
    assert float(weights[0][1, ..., 2:].detach().abs().max()) == 0, "padding is not looked at"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_watched_answers_the_same_bit_for_bit(name: str) -> None:
    model = MODELS[name]
    before = written(model, num_beams=2)
    with watched_attention(model) as weights:
        watched = written(model, num_beams=2)
    assert weights, "it was watched"
    assert watched == before
    assert written(model, num_beams=2) == before
    assert not any(module._forward_pre_hooks for module in model.modules()), "nobody watches any more"


def test_only_the_layers_that_were_asked_for_are_watched() -> None:
    model, answers = MODELS["encoder_decoder"], answers_of("encoder_decoder")
    for every, some in zip(readings_of(model, answers), readings_of(model, answers, layers={0, 2}), strict=True):
        assert len(some.attention) == 2
        np.testing.assert_array_equal(some.attention[0], every.attention[0])
        np.testing.assert_array_equal(some.attention[1], every.attention[2])


def test_a_layer_that_is_run_twice_is_watched_twice() -> None:
    model = made(num_layers=2)
    assert model.decoder is not None
    model.decoder.order = (0, 1, 0)
    (reading, *_) = readings_of(model, answers_of("encoder_decoder"))
    first, _, last = reading.attention
    assert not np.allclose(first, last)


def test_a_decoder_looks_at_its_prompt() -> None:
    answers = answers_of("decoder")
    for answer, reading in zip(answers, readings_of(MODELS["decoder"], answers), strict=True):
        for weights in reading.attention:
            assert weights.shape == (4, len(answer.tokens), len(answer.prompt))
            np.testing.assert_allclose(weights[:, 0].sum(axis=-1), 1, atol=WEIGHTS_TOLERANCE)
            assert (weights[:, 1:].sum(axis=-1) < 1).all(), "later tokens look at those before them too"


def test_a_model_in_training_goes_on_training() -> None:
    model, answers = made(), answers_of("encoder_decoder")
    expected = readings_of(model, answers)
    model.train()
    for reading, quiet in zip(readings_of(model, answers), expected, strict=True):
        np.testing.assert_array_equal(reading.log_probabilities, quiet.log_probabilities)
    assert model.training


def test_nothing_is_read_of_nothing() -> None:
    assert readings_of(MODELS["encoder_decoder"], []) == []
