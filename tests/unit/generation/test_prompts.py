"""What a text begins with is read in one pass: the same tokens, fewer passes, and room that does not pile up."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.errors import InputTooLongError
from heedful.generation import Request, SlotEngine, generate, parse_settings
from heedful.generation.slots import room_for
from heedful.model import PositionKind, Transformer, UniformSpec, build

V, LIMIT = 23, 48
TINY: dict[str, Any] = {"d_model": 8, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "d_ff": 12}
KINDS: dict[str, dict[str, Any]] = {kind.value: {"positions": kind} for kind in PositionKind} | {
    "none": {"positions": None},
    "window": {"positions": "rotary", "window": 4},
}


def make(kind: str, *, encoder: bool = False) -> Transformer:
    """A model whose tokens all depend on their places: with the usual small weights none would."""
    spec = UniformSpec.model_validate({**TINY, **KINDS[kind]})
    model = build((spec.encoder_decoder if encoder else spec.decoder)(V, max_positions=LIMIT), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.double().eval()


MODELS = {(kind, encoder): make(kind, encoder=encoder) for kind in KINDS for encoder in (False, True)}


def request(key: int, prompt: list[int], count: int, *, encoder: bool, num_beams: int = 1) -> Request[int]:
    source = (3 + key % 5, 4, 5, 6)[: 1 + key % 4] if encoder else ()
    return Request(key, source, tuple(prompt), parse_settings({"max_new_tokens": count, "num_beams": num_beams}))


@torch.inference_mode()
def one_by_one(model: Transformer, given_: Request[int]) -> tuple[int, ...]:
    """Each token from a pass over all before it."""
    tokens = list(given_.prompt)
    memory = model.encode(torch.tensor([given_.source])) if given_.source else None
    for _ in range(given_.settings.max_new_tokens):
        logits = model.logits(model.decode(torch.tensor([tokens]), memory))
        tokens.append(int(logits[0, -1].argmax()))
    return tuple(tokens[len(given_.prompt) :])


@pytest.mark.parametrize("encoder", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_prompts_of_all_lengths_enter_as_they_come(kind: str, encoder: bool, data: st.DataObject) -> None:
    model = MODELS[kind, encoder]
    token = st.integers(3, V - 1)
    shapes = data.draw(st.lists(st.tuples(st.lists(token, min_size=1, max_size=12), st.integers(1, 12)), min_size=1))
    requests = [request(key, prompt, count, encoder=encoder) for key, (prompt, count) in enumerate(shapes[:5])]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=data.draw(st.integers(1, 3)), num_beams=1)
    written = {key: hypotheses[0].tokens for key, hypotheses in engine.run(requests)}
    assert written == {each.key: one_by_one(model, each) for each in requests}


@pytest.mark.parametrize("kind", KINDS)
def test_beams_share_the_prompt(kind: str) -> None:
    """With all continuations followed, the best hypothesis is the best one there is."""
    model, count = MODELS[kind, False], 2
    prompt = torch.tensor([[7, 3, 9, 12, 5]])
    options = parse_settings({"max_new_tokens": count, "num_beams": V, "num_return_sequences": 3})
    (found,) = generate(model, prompt, settings=options)
    with torch.inference_mode():
        first = model.logits(model.decode(prompt))[0, -1].log_softmax(-1)
        longer = torch.cat([prompt.expand(V, -1), torch.arange(V)[:, None]], dim=1)
        second = model.logits(model.decode(longer))[:, -1].log_softmax(-1)
    values, indices = (first[:, None] + second).flatten().topk(3)
    assert [hypothesis.tokens for hypothesis in found] == [divmod(index, V) for index in indices.tolist()]
    assert [hypothesis.score * count for hypothesis in found] == pytest.approx(values.tolist(), abs=1e-12)


def test_a_long_prompt_takes_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["rotary", False]
    passes: list[tuple[int, ...]] = []
    for name in ("decode", "step"):
        method = getattr(model, name)

        def counted(ids: torch.Tensor, *rest: Any, method: Any = method, **named: Any) -> torch.Tensor:
            passes.append(tuple(ids.shape))
            result: torch.Tensor = method(ids, *rest, **named)
            return result

        monkeypatch.setattr(model, name, counted)
    engine: SlotEngine[int] = SlotEngine(model, num_slots=2, num_beams=3)
    list(engine.run([request(key, [4] * (30 + key), 3, encoder=False, num_beams=3) for key in (0, 1)]))
    assert passes == [(2, 30), (2, 3), (2, 3), (2, 3)]


def test_room_does_not_pile_up_behind_a_text_that_goes_on() -> None:
    """Prompts of other slots take their own room only, however many come and go while one text is written."""
    model = MODELS["rotary", False]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=2, num_beams=1)
    engine.admit([request(0, [3], 200, encoder=False)])
    for number in range(1, 40):
        engine.admit([request(number, [4] * 100, 2, encoder=False)])
        while engine.free == 0:
            engine.step()
    assert engine._slots.caches[0].keys.shape[2] <= 100 + 256


@pytest.mark.parametrize("num_beams", [1, 3])
def test_room_does_not_pile_up_in_a_slot_that_stays_empty(num_beams: int) -> None:
    model = MODELS["rotary", False]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=2, num_beams=num_beams)
    for number in range(40):
        engine.admit([request(number, [3, 4], 8, encoder=False, num_beams=num_beams)])
        while not engine.is_idle:
            engine.step()
    assert engine._slots.caches[0].keys.shape[2] <= room_for(9 * num_beams, num_beams)


def test_room_for_prompts_is_given_back() -> None:
    model = MODELS["rotary", False]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=1)
    list(engine.run([request(0, [4] * 500, 2, encoder=False), request(1, [4, 5], 1000, encoder=False)]))
    columns = engine._slots._columns
    assert columns <= 1000 + 2, "the columns of the first prompt have gone"


def test_an_empty_slot_reads_on_without_end() -> None:
    """What stands in a slot that nobody uses has no place in the model's positions."""
    model = MODELS["learned", False]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=3, num_beams=1)
    engine.admit([request(0, [3] * (LIMIT - 3), 4, encoder=False), request(1, [3], LIMIT, encoder=False)])
    answers = dict(engine.step())
    while not engine.is_idle:
        answers |= dict(engine.step())
    for _ in range(2 * LIMIT):
        assert engine.step() == []
    engine.admit([request(2, [3], LIMIT, encoder=False)])
    while not engine.is_idle:
        answers |= dict(engine.step())
    assert answers[2][0].tokens == answers[1][0].tokens


def test_more_than_the_positions_is_refused_before_anything_is_read() -> None:
    engine: SlotEngine[int] = SlotEngine(MODELS["learned", False], num_slots=2, num_beams=1)
    fits = request(0, [3] * 10, LIMIT - 9, encoder=False)
    with pytest.raises(InputTooLongError, match=rf"10 tokens and 40 to be written.*{LIMIT} positions") as caught:
        engine.admit([fits, request(1, [3] * 10, LIMIT - 8, encoder=False)])
    assert "max_new_tokens to 39" in str(caught.value.remedy)
    assert engine.is_idle
    ((_, (answer,)),) = engine.run([fits])
    assert len(answer.tokens) == LIMIT - 9
