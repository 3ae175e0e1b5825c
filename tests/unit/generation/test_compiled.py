"""A compiled encoder and step write what the model writes, whoever stands beside a text and whenever it enters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.generation import CompiledWriter, Hypothesis, Request, SlotEngine, parse_settings, write_all
from heedful.generation.compiled import FEW_ROWS
from heedful.inference import OpenVino
from heedful.model import PointerSpec, Transformer, UniformSpec, build

V, START, END = 23, 2, 1
SIZES = UniformSpec(d_model=16, num_layers=2, num_heads=2, d_ff=24)
KINDS: dict[str, Callable[[], Transformer]] = {
    "encoder and decoder": lambda: build(SIZES.encoder_decoder(V), seed=0),
    "pointer": lambda: build(SIZES.model_copy(update={"pointer": PointerSpec(head_dim=6)}).encoder_decoder(V), seed=0),
    "decoder": lambda: build(SIZES.model_copy(update={"positions": "rotary", "window": 4}).decoder(V), seed=0),
}
TOLERANCE = 1e-6
"""Of scores of size 1 (the mean over tokens); the largest difference seen is 3e-7."""


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest) -> tuple[Transformer, CompiledWriter]:
    model = KINDS[request.param]().eval()
    return model, CompiledWriter(model, partial(OpenVino, fingerprint=None))


def asked(model: Transformer, number: int, length: int, num_beams: int) -> Request[int]:
    options = {"decoder_start_token_id": START, "eos_token_id": END, "num_beams": num_beams, "max_new_tokens": length}
    source = tuple(3 + (number * place) % 19 for place in range(1, 2 + number % 7))
    prompt = (START,) if model.encoder is not None else source
    return Request(number, source if model.encoder is not None else (), prompt, parse_settings(options))


@given(st.data(), st.sampled_from([1, 3]), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_texts_that_come_and_go_are_written_the_same(
    pair: tuple[Transformer, CompiledWriter], data: st.DataObject, num_beams: int, num_slots: int
) -> None:
    model, compiled = pair
    lengths = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=7))
    requests = [asked(model, number, length, num_beams) for number, length in enumerate(lengths)]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=num_slots, num_beams=num_beams, compiled=compiled)
    waiting, found = list(requests), dict[int, list[Hypothesis]]()
    while waiting or not engine.is_idle:
        if entering := waiting[: data.draw(st.integers(int(engine.is_idle), engine.free))]:
            engine.admit(entering)
        waiting = waiting[len(entering) :]
        found |= dict(engine.step())
    for request in requests:
        ((_, expected),) = write_all(model, [request])
        assert [one.tokens for one in found[request.key]] == [one.tokens for one in expected]
        scores = [one.score for one in expected]
        assert [one.score for one in found[request.key]] == pytest.approx(scores, abs=TOLERANCE)


def test_many_texts_begin_with_pytorch_and_the_last_are_compiled(
    pair: tuple[Transformer, CompiledWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, compiled = pair
    rows = []
    read = CompiledWriter.read

    def counting(self: CompiledWriter, ids: torch.Tensor, **state: object) -> torch.Tensor:
        rows.append(ids.numel())
        return read(self, ids, **state)  # type: ignore[arg-type]

    monkeypatch.setattr(CompiledWriter, "read", counting)
    count = 2 * FEW_ROWS
    requests = [asked(model, number, 2 + number // 3, 1) for number in range(count)]
    found = dict(write_all(model, requests, num_slots=count, compiled=compiled))
    assert rows
    assert max(rows) <= FEW_ROWS
    assert {key: one.tokens for key, (one,) in found.items()} == {
        key: one.tokens for key, (one,) in write_all(model, requests, num_slots=count)
    }
