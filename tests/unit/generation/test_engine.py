"""The slot engine: room that grows and is given back, free slots, drawing, and what cannot enter."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

import heedful
from heedful.errors import HeedfulError, RequestError
from heedful.generation import GenerationSettings, Hypothesis, Request, SlotEngine, Written, generate, parse_settings
from heedful.generation.rules import Narrowed
from heedful.model import Transformer, UniformSpec, build

V, START = 23, 2
TINY = UniformSpec(d_model=8, num_layers=1, num_heads=2, d_ff=12)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return build(TINY.encoder_decoder(V), seed=0).double().eval()


def settings(**options: object) -> GenerationSettings:
    return parse_settings({"decoder_start_token_id": START, "max_new_tokens": 6, **options})


def request(key: int, **options: object) -> Request[int]:
    return Request(key, (3 + key % 5, 4, 5), (START,), settings(**options))


def test_texts_enter_while_others_are_written(model: Transformer) -> None:
    engine: SlotEngine[int] = SlotEngine(model, num_slots=2, num_beams=1)
    engine.admit([request(0, max_new_tokens=40)])
    assert engine.free == 1
    answers: dict[int, list[Hypothesis]] = {}
    entered = 1
    while not engine.is_idle:
        if engine.free and entered < 9:
            engine.admit([request(entered, max_new_tokens=entered)])
            entered += 1
        answers |= dict(engine.step())
    assert sorted(answers) == list(range(9))
    assert [len(answers[key][0].tokens) for key in range(9)] == [40, *range(1, 9)]
    for key in range(9):
        alone: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=1)
        ((_, (answer,)),) = alone.run([request(key, max_new_tokens=key or 40)])
        assert answer.tokens == answers[key][0].tokens
        assert answer.score == pytest.approx(answers[key][0].score, abs=1e-12)


def test_a_prompt_is_read_and_not_written(model: Transformer) -> None:
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=1)
    (whole,) = engine.run([Request(0, (3, 4), (START,), settings(no_repeat_ngram_size=1))])
    first, *rest = whole[1][0].tokens
    given = Request(1, (3, 4), (START, first), settings(no_repeat_ngram_size=1, max_new_tokens=5))
    (goes_on,) = engine.run([given])
    assert tuple(rest) == goes_on[1][0].tokens


def test_what_is_drawn_follows_the_probabilities(model: Transformer) -> None:
    ids = torch.tensor([[3, 4, 5]])
    drawn = Counter(
        generate(model, ids, settings=settings(do_sample=True, max_new_tokens=1, seed=seed))[0][0].tokens[0]
        for seed in range(400)
    )
    with torch.no_grad():
        logits = model.logits(model.decode(torch.tensor([[START]]), model.encode(ids)))[0, -1]
    expected = logits.softmax(-1)
    for token, probability in enumerate(expected.tolist()):
        spread = (probability * (1 - probability) / 400) ** 0.5
        assert abs(drawn[token] / 400 - probability) <= 4.5 * spread


def test_the_same_seed_draws_the_same(model: Transformer) -> None:
    ids = torch.tensor([[3, 4, 5]])
    texts = [generate(model, ids, settings=settings(do_sample=True, seed=seed))[0][0].tokens for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (Narrowed(top_k=2), {0, 1}),
        (Narrowed(top_p=0.7), {0, 1}),
        (Narrowed(min_p=0.5), {0, 1}),
        (Narrowed(top_p=0.01), {0}),
        (Narrowed(top_p=0.01, keep=3), {0, 1, 2}),
        (Narrowed(min_p=1.0, keep=2), {0, 1}),
    ],
)
def test_drawing_is_narrowed(rule: Narrowed, kept: set[int]) -> None:
    scores = torch.tensor([[0.45, 0.3, 0.15, 0.1]]).log()
    left = rule(scores, Written([[START]], 1))
    assert {token for token in range(4) if left[0, token] > -torch.inf} == kept


def test_temperature_divides(model: Transformer) -> None:
    scores = torch.tensor([[2.0, 1.0]])
    assert torch.equal(Narrowed(temperature=0.5)(scores, Written([[START]], 1)), torch.tensor([[4.0, 2.0]]))


def test_what_cannot_be_is_refused(model: Transformer) -> None:
    ids = torch.tensor([[3, 4]])
    with pytest.raises(RequestError, match="decoder_start_token_id"):
        heedful.generate(model, ids)
    with pytest.raises(RequestError, match="row 1 has no token"):
        generate(model, torch.tensor([[3, 4], [1, 1]]), torch.tensor([[True, True], [False, False]]), settings())
    with pytest.raises(HeedfulError, match="writes no text"):
        generate(build(TINY.encoder(V), seed=0), ids)
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=1)
    with pytest.raises(RequestError, match="2 texts cannot enter 1 free slots"):
        engine.admit([request(0), request(1)])
    with pytest.raises(RequestError, match="3 beams"):
        engine.admit([request(0, num_beams=3)])
    assert engine.is_idle


@pytest.mark.parametrize(
    "options",
    [
        {"suppress_tokens": range(V)},
        {"suppress_tokens": range(V), "num_beams": 3},
        {"suppress_tokens": range(V), "do_sample": True},
        {"suppress_tokens": [4], "forced_bos_token_id": 4, "num_beams": 3},
    ],
)
def test_settings_that_leave_nothing_to_write_are_refused(model: Transformer, options: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="forbid every one"):
        generate(model, torch.tensor([[3, 4, 5]]), settings=settings(**options))


@pytest.mark.parametrize(
    "options",
    [{name: [V]} for name in ("suppress_tokens", "begin_suppress_tokens", "forced_eos_token_id")]
    + [{"forced_bos_token_id": V}, {"bad_words_ids": [[V]]}, {"eos_token_id": [V], "min_new_tokens": 1}],
)
def test_tokens_that_the_model_lacks_are_named(model: Transformer, options: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=f"name token {V}, and the model has {V} tokens"):
        generate(model, torch.tensor([[3, 4, 5]]), settings=settings(**options))


def test_a_model_in_training_goes_on_training(model: Transformer) -> None:
    learner = build(TINY.model_copy(update={"dropout": 0.5}).encoder_decoder(V), seed=0).train()
    ids = torch.tensor([[3, 4, 5]])
    assert generate(learner, ids, settings=settings()) == generate(learner, ids, settings=settings())
    assert learner.training
